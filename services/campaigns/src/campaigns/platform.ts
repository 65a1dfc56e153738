/** Known platforms by canonical name, each with the other names that exports and people use. */
const aliases: Readonly<Record<string, readonly string[]>> = {
  Google: ['google', 'googleads', 'adwords', 'googleadwords'],
  Meta: ['meta', 'facebook', 'fb', 'instagram', 'metaads', 'facebookads', 'instagramads'],
  TikTok: ['tiktok', 'tiktokads'],
  Microsoft: ['microsoft', 'bing', 'bingads', 'microsoftads', 'microsoftadvertising'],
  LinkedIn: ['linkedin', 'linkedinads'],
  X: ['x', 'twitter', 'twitterads', 'xads'],
  Pinterest: ['pinterest', 'pinterestads'],
  Snapchat: ['snapchat', 'snap', 'snapchatads'],
  Amazon: ['amazon', 'amazonads'],
};

const canonicalByAlias = new Map(Object.entries(aliases).flatMap(([canonical, names]) => names.map((name) => [name, canonical] as const)));

/** The canonical name of a platform: `facebook`, `Meta Ads` and `META` are Meta; an unknown one stays as it was written. */
export const canonicalPlatform = (text: string): string => canonicalByAlias.get(text.toLowerCase().replace(/[\s_-]+/g, '')) ?? text.trim();
