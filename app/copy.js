// Puts a text on the clipboard, also where the browser has no clipboard for pages: over http from another machine.
export default function ({ data, parentElement }) {
  const button = parentElement.querySelector(".copy");
  const told = (said) => {
    button.textContent = said;
    setTimeout(() => (button.textContent = "Copy"), 1500);
  };
  const selected = () => {
    const box = document.createElement("textarea");
    box.value = data;
    box.style.position = "fixed";
    document.body.append(box);
    box.select();
    const done = document.execCommand("copy");
    box.remove();
    button.focus();
    told(done ? "Copied" : "Not allowed");
  };
  button.onclick = () =>
    navigator.clipboard ? navigator.clipboard.writeText(data).then(() => told("Copied"), selected) : selected();
}
