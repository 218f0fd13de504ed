// Draws a page of a document, and brings what is marked on it into view.
export default function ({ data, parentElement }) {
  const image = parentElement.querySelector("img");
  const here = parentElement.querySelector(".here");
  const source = `data:image/png;base64,${data.png}`;
  image.alt = data.alt;
  if (image.src === source) return;
  image.src = source;
  image.width = data.width;
  image.height = data.height;
  if (data.top === null) return;
  here.style.top = `${100 * data.top}%`;
  image.decode().then(
    () => here.scrollIntoView({ block: "center", behavior: "instant" }),
    () => {},
  );
}
