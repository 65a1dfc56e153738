import { z } from 'zod';

/** Parts of query strings, in which everything is text. What a value may be is checked where the graph's is, by the services. */
export const rangeTexts = { from: z.string().optional(), to: z.string().optional() };
export const limitText = z.coerce.number().default(20);
export const stepsText = z.coerce.number().default(100);
export const includeBotsText = z.stringbool().default(false);
