import type { TrackedEvent } from '@pca/contracts';
import type { Codes, Term } from './dictionary.js';
import type { Dictionary } from './dictionary.store.js';
import { type CodedTexts, packEvent, type PackedEvent, propertiesObject, type Uncoded } from './timeline-event.js';

const kinds = ['page', 'resource', 'context', 'shape'] as const satisfies readonly (keyof CodedTexts)[];

/** An event and what is to be stored of it. */
export interface Packed {
  readonly workspace: { readonly number: number };
  readonly payload: TrackedEvent;
  readonly packed: PackedEvent;
}

/** Codes of an event's texts, and the properties that go with the code of their shape. */
export type TextCodes = Readonly<Record<keyof CodedTexts, number>> & { readonly properties: string };

/** Codes the texts of events. What the dictionary has no room for is kept among the properties, and something coarser stands in for it. */
export const codeTexts = async (dictionary: Dictionary, items: readonly Packed[]): Promise<readonly TextCodes[]> => {
  const codes = await dictionary.codes(items.flatMap(termsOf));
  const coarse = new Map<Packed, Packed>();
  for (const item of items) {
    const uncoded = uncodedOf(item, codes);
    if (uncoded) coarse.set(item, { ...item, packed: packEvent(item.payload, uncoded) });
  }
  // Hardly ever: the room for what stands in is apart from that of the rest, and shapes may have changed.
  const standIns = coarse.size === 0 ? codes : await dictionary.codes([...coarse.values()].flatMap(termsOf), true);
  return items.map((item) => {
    const stored = coarse.get(item);
    return stored ? textCodesOf(stored, standIns) : textCodesOf(item, codes);
  });
};

const termsOf = ({ workspace: { number }, packed: { texts } }: Packed): readonly Term[] =>
  kinds.map((kind) => ({ workspace: number, kind, text: texts[kind] }));

const uncodedOf = ({ workspace: { number }, packed: { texts } }: Packed, codes: Codes): Uncoded | undefined => {
  const isUncoded = (kind: (typeof kinds)[number]): boolean => codes.of(number, kind, texts[kind]) === undefined;
  const uncoded = { page: isUncoded('page'), resource: isUncoded('resource'), context: isUncoded('context') };
  return uncoded.page || uncoded.resource || uncoded.context ? uncoded : undefined;
};

const textCodesOf = ({ workspace: { number }, packed }: Packed, codes: Codes): TextCodes => {
  const code = (kind: (typeof kinds)[number]): number => codes.of(number, kind, packed.texts[kind]) ?? 0;
  const shape = code('shape');
  return {
    page: code('page'),
    resource: code('resource'),
    context: code('context'),
    shape,
    properties: shape === 0 ? propertiesObject(packed) : packed.properties,
  };
};
