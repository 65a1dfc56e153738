import { z } from 'zod';

/** Items of a list that one question may ask for. */
export const limitSchema = z.int().min(1).max(200);
export const stepsMax = 1_000;
export const stepsSchema = z.int().min(1).max(stepsMax);
/** Ids and search words: as long as the longest id, and spelled as they are stored, where U+FFFD stands for a lone surrogate. */
export const textSchema = z
  .string()
  .min(1)
  .max(256)
  .refine((text) => !text.includes('\0'), 'holds a character that cannot be stored')
  .overwrite((text) => text.toWellFormed());
