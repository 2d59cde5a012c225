/** @module Instruments whose labels the compiler knows: a forgotten or misspelt label is a type error. */
import type { Meter } from "@opentelemetry/api";

export interface InstrumentOptions<L extends string> {
  /** With the unit at its end (`spanwire_apply_seconds`); a counter gets `_total` by itself. */
  readonly name: string;
  readonly help: string;
  /** Each combination of values is a series of its own: only values of a small set. */
  readonly labels: readonly L[];
}

export type Labels<L extends string> = Readonly<Record<L, string>>;

export interface Counter<L extends string> {
  add(labels: Labels<L>, value?: number): void;
}

export interface Histogram<L extends string> {
  record(labels: Labels<L>, value: number): void;
}

/** Makes a count of what happened since the start. */
export function createCounter<const L extends string>(meter: Meter, options: InstrumentOptions<L>): Counter<L> {
  const counter = meter.createCounter(options.name, { description: options.help });
  return { add: (labels, value = 1) => counter.add(value, labels) };
}

/** Makes a distribution; `buckets` are ascending upper bounds. */
export function createHistogram<const L extends string>(
  meter: Meter,
  options: InstrumentOptions<L> & { readonly buckets: readonly number[] },
): Histogram<L> {
  const advice = { explicitBucketBoundaries: [...options.buckets] };
  const histogram = meter.createHistogram(options.name, { description: options.help, advice });
  return { record: (labels, value) => histogram.record(value, labels) };
}

export interface Observation<L extends string> {
  readonly labels: Labels<L>;
  readonly value: number;
}

/** Makes a value that is looked at only when somebody asks; `observe` is called for each scrape. */
export function createGauge<const L extends string>(
  meter: Meter,
  options: InstrumentOptions<L>,
  observe: () => Iterable<Observation<L>>,
): void {
  meter.createObservableGauge(options.name, { description: options.help }).addCallback((result) => {
    for (const { labels, value } of observe()) result.observe(value, labels);
  });
}
