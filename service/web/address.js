// The page's address, and the way back.

const here = () => location.pathname + location.search;
let shown = here(); // without the fragment: a link within the page leads nowhere else

/** Another address, from which one can go back to the one before. state: what it does not say. */
export function enter(path, state = null) {
  if (path === here()) return rewrite(path, state);
  history.pushState(state, "", path);
  shown = path;
}

/** Another address in the place of this one. */
export function rewrite(path, state = null) {
  history.replaceState(state, "", path);
  shown = path;
}

/** Has something go where one went back to. */
export function onBack(go) {
  addEventListener("popstate", ({ state }) => {
    if (here() === shown) return;
    shown = here();
    go(state);
  });
}
