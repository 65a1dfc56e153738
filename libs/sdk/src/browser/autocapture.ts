import type { Client, Properties } from '../core/client-types.js';

/**
 * Calls `view` for the page that is there and for each that a script makes of it.
 * @param view told whether the page counts even if its path is that of the last.
 */
export const watchPages = (view: (again: boolean) => void, signal: AbortSignal): void => {
  // The title of a new page is set after the address.
  const later = (): void => void setTimeout(() => signal.aborted || view(false));
  for (const name of ['pushState', 'replaceState'] as const) {
    const original = history[name];
    history[name] = function (...args) {
      original.apply(this, args);
      later();
    };
  }
  addEventListener('popstate', later, { signal });
  // Back in a page that was only asleep.
  addEventListener('pageshow', ({ persisted }) => persisted && view(true), { signal });
  // A page that is loaded ahead has not been seen by anybody yet.
  if ('prerendering' in document && document.prerendering) document.addEventListener('prerenderingchange', later, { signal, once: true });
  else later();
};

const ownPrefix = 'pca';

/** `data-pca-plan-name="x"` is the property `planName`. */
const propertiesOf = (dataset: DOMStringMap): Properties =>
  Object.fromEntries(
    Object.entries(dataset).flatMap(([key, value]) => {
      const name = key.slice(ownPrefix.length);
      const isOwn = key.startsWith(ownPrefix) && /^[A-Z]/.test(name) && key !== 'pcaEvent';
      return isOwn ? [[name.charAt(0).toLowerCase() + name.slice(1), value]] : [];
    }),
  );

/** Tracks clicks on and in elements with `data-pca-event`. */
export const watchClicks = (client: Client, signal: AbortSignal): void => {
  const onClick = (event: Event): void => {
    // The path also leads into components whose insides are hidden from here.
    const marked = event
      .composedPath()
      .find((target): target is HTMLElement => target instanceof HTMLElement && !!target.dataset['pcaEvent']);
    if (marked) void client.track(marked.dataset['pcaEvent'] ?? '', propertiesOf(marked.dataset));
  };
  // Before the page's own listeners, which may stop the event or leave the page.
  document.addEventListener('click', onClick, { signal, capture: true });
};
