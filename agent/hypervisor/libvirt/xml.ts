import { XMLBuilder, XMLParser } from 'fast-xml-parser';

/** XML as data, in the order given. An attribute is a key that starts with `@`; an array repeats its element; undefined is left out. */
export type XmlData = { readonly [key: string]: XmlValue };
export type XmlValue = string | number | undefined | XmlData | readonly XmlData[];

const builder = new XMLBuilder({
  ignoreAttributes: false,
  attributeNamePrefix: '@',
  suppressEmptyNode: true,
});
const parser = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: false,
  attributeNamePrefix: '',
  parseTagValue: false,
  parseAttributeValue: false,
  processEntities: true,
  // libvirt writes what is not ASCII as character references, which this option reads.
  htmlEntities: true,
});

/** Text and attribute values are escaped by the builder; nothing is pasted. */
export function composeXml(data: XmlData): string {
  return builder.build(withoutUndefined(data));
}

function withoutUndefined(value: XmlValue): XmlValue {
  if (Array.isArray(value)) return value.map((each) => withoutUndefined(each) as XmlData);
  if (typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, each]) => each !== undefined)
      .map(([key, each]) => [key, withoutUndefined(each)]),
  );
}

type Node = Readonly<Record<string, unknown>>;

/** A read-only view of one parsed element. */
export class XmlElement {
  readonly name: string;
  readonly #children: readonly Node[];
  readonly #attributes: Readonly<Record<string, string>>;

  constructor(name: string, children: readonly Node[], attributes: Readonly<Record<string, string>>) {
    this.name = name;
    this.#children = children;
    this.#attributes = attributes;
  }

  attribute(name: string): string | undefined {
    return this.#attributes[name];
  }

  get text(): string | undefined {
    const texts = this.#children.flatMap((node) =>
      typeof node['#text'] === 'string' ? [node['#text']] : [],
    );
    return texts.length === 0 ? undefined : texts.join('');
  }

  children(name: string): readonly XmlElement[] {
    return this.#children.flatMap((node) => {
      const inside = node[name];
      if (!Array.isArray(inside)) return [];
      return [new XmlElement(name, inside as Node[], (node[':@'] ?? {}) as Record<string, string>)];
    });
  }

  child(name: string): XmlElement | undefined {
    return this.children(name)[0];
  }
}

/** The document as an element without a name; its child is the root. */
export function parseXml(text: string): XmlElement {
  return new XmlElement('', parser.parse(text) as Node[], {});
}
