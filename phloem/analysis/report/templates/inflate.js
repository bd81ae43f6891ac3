// DEFLATE (RFC 1951) for browsers that cannot decompress streams by themselves.

const LENGTH_BASE = [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258];
const LENGTH_BITS = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const CODE_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

// Counts of codes by length, and their symbols in order: all that canonical Huffman codes need.
function huffman(lengths) {
  const count = new Uint16Array(16);
  for (const length of lengths) count[length] += 1;
  count[0] = 0;
  const next = new Uint16Array(16);
  for (let length = 1; length < 15; length += 1) next[length + 1] = next[length] + count[length];
  const symbols = new Uint16Array(lengths.length);
  lengths.forEach((length, symbol) => {
    if (length) {
      symbols[next[length]] = symbol;
      next[length] += 1;
    }
  });
  return { count, symbols };
}

// The bytes of a gzip file with a ten-byte header, which is what the page holds; its end says how long they are.
function inflateGzip(data) {
  const size = new DataView(data.buffer, data.byteOffset).getUint32(data.length - 4, true);
  const out = new Uint8Array(size);
  let at = 10;
  let written = 0;
  let held = 0;
  let left = 0;

  function bits(wanted) {
    while (left < wanted) {
      held |= data[at] << left;
      at += 1;
      left += 8;
    }
    const value = held & ((1 << wanted) - 1);
    held >>>= wanted;
    left -= wanted;
    return value;
  }

  function symbol(tree) {
    let code = 0;
    let first = 0;
    let index = 0;
    for (let length = 1; length < 16; length += 1) {
      code |= bits(1);
      const count = tree.count[length];
      if (code - count < first) return tree.symbols[index + code - first];
      index += count;
      first = (first + count) << 1;
      code <<= 1;
    }
    throw new Error("a layer of the page is damaged");
  }

  function copyBlock(literals, distances) {
    for (;;) {
      const code = symbol(literals);
      if (code === 256) return;
      if (code < 256) {
        out[written] = code;
        written += 1;
        continue;
      }
      const length = LENGTH_BASE[code - 257] + bits(LENGTH_BITS[code - 257]);
      const far = symbol(distances);
      const extra = far < 2 ? 0 : (far >> 1) - 1;
      const distance = far < 2 ? far + 1 : ((2 + (far & 1)) << extra) + 1 + bits(extra);
      for (let n = 0; n < length; n += 1, written += 1) out[written] = out[written - distance];
    }
  }

  function dynamicTrees() {
    const literals = bits(5) + 257;
    const distances = bits(5) + 1;
    const codes = bits(4) + 4;
    const lengths = new Array(19).fill(0);
    for (let n = 0; n < codes; n += 1) lengths[CODE_ORDER[n]] = bits(3);
    const tree = huffman(lengths);
    const all = [];
    while (all.length < literals + distances) {
      const code = symbol(tree);
      if (code < 16) all.push(code);
      else if (code === 16) all.push(...new Array(3 + bits(2)).fill(all[all.length - 1]));
      else all.push(...new Array(code === 17 ? 3 + bits(3) : 11 + bits(7)).fill(0));
    }
    return [huffman(all.slice(0, literals)), huffman(all.slice(literals))];
  }

  for (let last = 0; !last; ) {
    last = bits(1);
    const kind = bits(2);
    if (kind === 0) {
      held = 0;
      left = 0;
      const length = data[at] | (data[at + 1] << 8);
      out.set(data.subarray(at + 4, at + 4 + length), written);
      at += 4 + length;
      written += length;
    } else if (kind === 1) {
      const lengths = Array.from({ length: 288 }, (_, n) => (n < 144 ? 8 : n < 256 ? 9 : n < 280 ? 7 : 8));
      copyBlock(huffman(lengths), huffman(new Array(30).fill(5)));
    } else {
      copyBlock(...dynamicTrees());
    }
  }
  return out;
}
