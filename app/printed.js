// Shows a page with its first marked line in sight, and larger for who asks.
const ABOVE = 0.25; // of the height that is seen, above the first marked line
const BESIDE = 24; // pixels to the left of it

export default function ({ data, parentElement }) {
  const sheet = parentElement.querySelector(".sheet");
  const image = sheet.querySelector("img");
  const button = parentElement.querySelector("button");
  const showMarked = () => {
    const scale = image.clientWidth / data.width;
    sheet.scrollTo(data.left * scale - BESIDE, data.top * scale - ABOVE * sheet.clientHeight);
  };
  const resize = (large) => {
    sheet.classList.toggle("large", large);
    button.textContent = large ? "Smaller" : "Larger";
    showMarked();
  };
  button.onclick = () => resize(!sheet.classList.contains("large"));
  if (image.src === data.picture) return; // the same page again: whoever looks around on it is not disturbed
  sheet.setAttribute("aria-label", data.name);
  image.alt = data.name;
  image.onload = () => resize(false);
  image.src = data.picture;
}
