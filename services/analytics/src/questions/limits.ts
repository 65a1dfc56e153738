import { z } from 'zod';

/** Items of a list that one question may ask for. */
export const limitSchema = z.int().min(1).max(200);
export const stepsMax = 1_000;
export const stepsSchema = z.int().min(1).max(stepsMax);
/** Ids and search words: as long as the longest id. */
export const textSchema = z.string().min(1).max(256);
