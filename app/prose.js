// Draws text that others wrote, and what our own code marks in it. Whatever is foreign becomes a text node: it cannot
// become markup, a link or a picture.
export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".prose");
  const said = JSON.stringify(data);
  if (root.dataset.said === said) return; // the same text again: whoever reads or selects it is not disturbed
  root.dataset.said = said;
  const pieces = data.pieces.map(([kind, text, source, name]) => {
    if (kind === "text") return document.createTextNode(text);
    const element = document.createElement({ source: "button", mark: "mark", answer: "strong" }[kind] ?? "span");
    element.className = kind;
    element.textContent = text;
    if (kind === "source") {
      element.type = "button";
      element.title = name;
      element.setAttribute("aria-label", `Source ${text}: ${name}`);
      element.onclick = () => setTriggerValue("opened", source);
    } else if (name) {
      element.title = name;
    }
    return element;
  });
  root.setAttribute("aria-live", data.live ? "polite" : "off");
  root.classList.toggle("quoted", Boolean(data.quoted));
  root.replaceChildren(...pieces);
}
