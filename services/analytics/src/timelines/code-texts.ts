import type { TrackedEvent } from '@pca/contracts';
import { type Codes, Terms } from './dictionary.js';
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
export const codeTexts = async (
  dictionary: Dictionary,
  items: readonly Packed[],
  textsFreed: ReadonlyMap<number, number>,
): Promise<readonly TextCodes[]> => {
  const codes = await dictionary.codes(termsOf(items), textsFreed);
  const coarse = new Map<Packed, Packed>();
  for (const item of items) {
    const uncoded = uncodedOf(item, codes);
    if (uncoded) coarse.set(item, { ...item, packed: packEvent(item.payload, uncoded) });
  }
  // Hardly ever: the room for what stands in is apart from that of the rest, and shapes may have changed.
  const standIns = coarse.size === 0 ? codes : await dictionary.codes(termsOf(coarse.values()), textsFreed, true);
  return items.map((item) => {
    const stored = coarse.get(item);
    return stored ? textCodesOf(stored, standIns) : textCodesOf(item, codes);
  });
};

const termsOf = (items: Iterable<Packed>): Terms => {
  const terms = new Terms();
  for (const { workspace, packed } of items) for (const kind of kinds) terms.add(workspace.number, kind, packed.texts[kind]);
  return terms;
};

/** Undefined where every text has its code. A shape may go without: its event keeps the names of its properties. */
const uncodedOf = ({ workspace: { number }, packed: { texts } }: Packed, codes: Codes): Uncoded | undefined => {
  const page = codes.of(number, 'page', texts.page) === undefined;
  const resource = codes.of(number, 'resource', texts.resource) === undefined;
  const context = codes.of(number, 'context', texts.context) === undefined;
  return page || resource || context ? { page, resource, context } : undefined;
};

const textCodesOf = ({ workspace: { number }, packed }: Packed, codes: Codes): TextCodes => {
  const { texts } = packed;
  const shape = codes.of(number, 'shape', texts.shape) ?? 0;
  return {
    page: codes.of(number, 'page', texts.page) ?? 0,
    resource: codes.of(number, 'resource', texts.resource) ?? 0,
    context: codes.of(number, 'context', texts.context) ?? 0,
    shape,
    properties: shape === 0 ? propertiesObject(packed) : packed.properties,
  };
};
