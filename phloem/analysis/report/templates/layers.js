// Layers of packed numbers: each is text in a script element of its own, and is unpacked when it is first asked for.

const unpacked = new Map();

function bytesOf(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let n = 0; n < raw.length; n += 1) bytes[n] = raw.charCodeAt(n);
  return bytes;
}

async function gunzip(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// The bytes of a layer; asked for again, they are not unpacked again.
function layerBytes(number) {
  if (!unpacked.has(number)) {
    const holder = document.getElementById(`layer-${number}`);
    unpacked.set(number, gunzip(bytesOf(holder.textContent.trim())));
  }
  return unpacked.get(number);
}

async function layerText(number) {
  return new TextDecoder().decode(await layerBytes(number));
}

async function layerFloats(number) {
  const bytes = await layerBytes(number);
  return new Float64Array(bytes.buffer, bytes.byteOffset, bytes.length / 8);
}

const codesOf = new Map();

// Codes of a packed layer and what they mean; code 0 is a missing value.
async function layerCodes(packed) {
  if (!codesOf.has(packed.layer)) {
    codesOf.set(packed.layer, layerBytes(packed.layer).then((bytes) => {
      if (packed.bits === 8) return bytes;
      const half = bytes.length / 2;
      const codes = new Uint16Array(half);
      for (let n = 0; n < half; n += 1) codes[n] = bytes[n] | (bytes[half + n] << 8);
      return codes;
    }));
  }
  const codes = await codesOf.get(packed.layer);
  return { codes, decode: decoder(packed), packed };
}

function decoder(packed) {
  const steps = 2 ** packed.bits - 2;
  const { low, high } = packed;
  if (packed.log) {
    const [first, last] = [Math.log(low), Math.log(high)];
    return (code) => {
      const share = (code - 1) / steps;
      return code === 0 ? NaN : Math.exp(first * (1 - share) + last * share);
    };
  }
  return (code) => {
    const share = (code - 1) / steps;
    return code === 0 ? NaN : low * (1 - share) + high * share;
  };
}

async function layerValues(packed) {
  const { codes, decode } = await layerCodes(packed);
  return Float64Array.from(codes, decode);
}
