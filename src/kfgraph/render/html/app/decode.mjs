// From the letters in the page to columns of numbers. render/html/pack.py writes what this reads.

/** The bytes that base64 letters stand for. */
export function bytesOf(base64) {
  const letters = atob(base64);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  return bytes;
}

/** What a gzip member holds. */
export async function gunzip(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** The values of one column from its byte planes, of which the lowest comes first. */
export function fromPlanes(bytes, at, n, nPlanes, signed) {
  const values = nPlanes <= 1 && !signed ? new Uint8Array(n)
    : nPlanes <= 2 && !signed ? new Uint16Array(n)
    : nPlanes <= 3 ? (signed ? new Int32Array(n) : new Uint32Array(n))
    : new Float64Array(n);
  let unit = 1;
  for (let k = 0; k < nPlanes; k++, unit *= 256) {
    const plane = bytes.subarray(at + k * n, at + (k + 1) * n);
    if (k === 0) values.set(plane);
    else for (let i = 0; i < n; i++) if (plane[i]) values[i] += plane[i] * unit;
  }
  // Zigzag codes: 0, 1, 2, 3 are 0, -1, 1, -2.
  if (signed) for (let i = 0; i < n; i++) values[i] = values[i] % 2 ? -(values[i] + 1) / 2 : values[i] / 2;
  return values;
}

/** The lower and the upper half of each 64-bit value, for columns of which a Number would round. */
export function halvesFromPlanes(bytes, at, n, nPlanes) {
  const low = new Uint32Array(n), high = new Uint32Array(n);
  for (let k = 0; k < nPlanes; k++) {
    const half = k < 4 ? low : high, unit = 256 ** (k % 4);
    const first = at + k * n;
    for (let i = 0; i < n; i++) half[i] += bytes[first + i] * unit;
  }
  return { low, high };
}

/** {head, columns} of an unpacked page: `columns` by name, those in `wide` as halves. */
export function unpack(bytes, wide = ["retval"]) {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  const columns = {};
  let at = 4 + length;
  for (const [name, n, nPlanes, signed] of head.columns) {
    columns[name] = wide.includes(name)
      ? halvesFromPlanes(bytes, at, n, nPlanes)
      : fromPlanes(bytes, at, n, nPlanes, Boolean(signed));
    at += n * nPlanes;
  }
  return { head, columns };
}

/** Places that are stored as steps from one to the next. */
export function placesOf(steps) {
  const at = new Int32Array(steps.length);
  let place = 0;
  for (let i = 0; i < steps.length; i++) at[i] = place += steps[i];
  return at;
}
