import type { Properties } from '../core/client-types.js';

/** Query and fragment may hold tokens, searches, addresses: only campaigns are read from them. */
const withoutQuery = (url: string): string => url.replace(/[?#].*/s, '');

const campaignNames = { utm_source: 'source', utm_medium: 'medium', utm_campaign: 'name', utm_term: 'term', utm_content: 'content' };

const campaign = (query: URLSearchParams): Properties | undefined => {
  const found = Object.entries(campaignNames).flatMap(([parameter, name]) => {
    const value = query.get(parameter);
    return value ? [[name, value] as const] : [];
  });
  return found.length ? Object.fromEntries(found) : undefined;
};

/** What the server cannot see in the request's headers. */
export const pageContext = (): Properties => ({
  page: {
    url: withoutQuery(location.href),
    path: location.pathname,
    referrer: withoutQuery(document.referrer),
    title: document.title,
  },
  campaign: campaign(new URLSearchParams(location.search)),
  locale: navigator.language,
  timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
});
