// WhatsApp's own formatting: *bold*, _italic_, ~struck~, `code`, ```blocks```, and links.

import { h } from "./dom.js";

// With the line breaks around it: a block stands on lines of its own anyway.
const BLOCK = /\n?```\n?([\s\S]+?)\n?```\n?/g;
// A mark holds only at the border of a word, and never next to a space inside it: 2*3*4 and snake_case stay as they are.
const INLINE =
  /(?<link>https?:\/\/[^\s<>"]*[^\s<>"'.,;:!?)\]}*_~])|`(?<code>[^`\n]+)`|(?<![\p{L}\p{N}])(?<mark>[*_~])(?=\S)(?<inner>[^\n]*?\S)\k<mark>(?![\p{L}\p{N}])/gu;
const TAGS = { "*": "strong", _: "em", "~": "s" };
const DEEPEST = 4;

/** The nodes that show a message's text. */
export function renderText(text) {
  const fragment = document.createDocumentFragment();
  let end = 0;
  for (const block of text.matchAll(BLOCK)) {
    renderInline(fragment, text.slice(end, block.index), DEEPEST);
    fragment.append(h("code", { class: "block" }, block[1]));
    end = block.index + block[0].length;
  }
  renderInline(fragment, text.slice(end), DEEPEST);
  return fragment;
}

function renderInline(parent, text, depth) {
  let end = 0;
  for (const match of text.matchAll(INLINE)) {
    const { link, code, mark, inner } = match.groups;
    parent.append(text.slice(end, match.index));
    if (link) {
      parent.append(h("a", { href: link, target: "_blank", rel: "noopener noreferrer" }, link));
    } else if (code) {
      parent.append(h("code", {}, code));
    } else {
      const marked = h(TAGS[mark]);
      if (depth > 0) renderInline(marked, inner, depth - 1);
      else marked.append(inner);
      parent.append(marked);
    }
    end = match.index + match[0].length;
  }
  parent.append(text.slice(end));
}
