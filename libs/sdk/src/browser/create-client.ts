import type { Client, ClientOptions } from '../core/client-types.js';
import { reporter } from '../core/report.js';
import type { Sender } from '../core/sender.js';
import { TrackingClient } from '../core/tracking-client.js';
import { watchClicks, watchPages } from './autocapture.js';
import { LocalStore } from './local-store.js';
import { pageContext } from './page-context.js';

export interface BrowserOptions extends ClientOptions {
  /** Page views (also those that a script makes) and clicks on elements with `data-pca-event`. Off unless asked for. */
  autocapture?: { pages?: boolean; clicks?: boolean };
  /** `required`: nothing is stored, no id is made and no event is taken before `optIn()`. */
  consent?: 'implied' | 'required';
  /** Do-not-track and Global Privacy Control mean no unless the person opts in; true if the site has consent by other means. */
  ignorePrivacySignals?: boolean;
}

const objects = (): boolean =>
  navigator.doNotTrack === '1' || (navigator as Navigator & { globalPrivacyControl?: boolean }).globalPrivacyControl === true;

/** Locks are there with https only, and not in every frame; without them two tabs may send the same event, which counts once. */
const exclusively = <T>(name: string, work: () => Promise<T>): Promise<T> => {
  const locks = (navigator as { locks?: LockManager }).locks;
  return locks ? (locks.request(name, work) as Promise<T>).catch(work) : work();
};

const watchPage = (sender: Sender, signal: AbortSignal): void => {
  document.addEventListener('visibilitychange', () => (document.hidden ? sender.pageIsHidden() : sender.pageIsBack()), { signal });
  addEventListener('pagehide', () => sender.pageIsHidden(), { signal });
  addEventListener('online', () => sender.networkIsBack(), { signal });
};

/** A client for the person in front of this browser. All tabs of the site share its queue, ids and consent. */
export const createClient = (options: BrowserOptions): Client => {
  if (typeof document === 'undefined') throw new TypeError('@pca/sdk is for browsers; servers take @pca/sdk/node');
  const { autocapture = {}, consent = 'implied', ignorePrivacySignals = false, writeKey } = options;
  const onError = reporter(options.onError);
  const over = new AbortController();
  const captureOver = new AbortController();
  let lastPath: string | undefined;
  const view = (again: boolean): void => {
    if (!client.consent.given() || (!again && lastPath === location.pathname)) return;
    lastPath = location.pathname;
    void client.page();
  };
  const client = new TrackingClient(options, {
    store: new LocalStore(writeKey, (message) => onError({ code: 'STORAGE_FAILED', message, events: [] })),
    network: {
      exclusively: (work) => exclusively(`pca:${writeKey}`, work),
      handOver: 'keepalive' in Request.prototype ? undefined : (url, body) => void navigator.sendBeacon(url, body),
    },
    // A quarter of what a site may store: the rest is the site's.
    queueLimits: { events: 1_000, characters: 1_250_000 },
    // Whatever else a site may have written there, it did not mean that silence is a yes.
    consentRules: { required: consent !== 'implied', objection: !ignorePrivacySignals && objects() },
    remembers: true,
    context: pageContext,
    pageName: () => location.pathname,
    onOptIn: () => autocapture.pages && view(false),
    onClosing: () => captureOver.abort(),
    onClose: () => over.abort(),
    onError,
  });
  watchPage(client.sender, over.signal);
  if (autocapture.pages) watchPages(view, captureOver.signal);
  if (autocapture.clicks) watchClicks(client, captureOver.signal);
  return client;
};
