/// LZW as Go's `compress/lzw` writes it with least significant bits first and literals of eight bits.
///
/// Codes are 9 to 12 bits wide; 256 is "clear", 257 "end", 258 the first free one. The width grows when the next code to be
/// assigned reaches it. Only the decoder is here: a peer takes uncompressed messages, and ours are short.
package enum LZW {
    private static let clear = 256
    private static let end = 257
    private static let codesMax = 1 << 12
    private static let none = -1

    /// Inflates `input`.
    /// - Throws: `.beyondLimit` as soon as more than `bytesMax` would come out.
    package static func inflate(_ input: ArraySlice<UInt8>, bytesMax: Int) throws(WireError) -> [UInt8] {
        var output: [UInt8] = []
        // Of each code: the code before its last byte, and that byte.
        var prefix = [UInt16](repeating: 0, count: codesMax)
        var suffix = [UInt8](repeating: 0, count: codesMax)
        var word: [UInt8] = []
        var (width, next, last) = (9, end, none)
        var (bits, bitCount) = (0, 0)
        var position = input.startIndex

        while true {
            while bitCount < width {
                guard position < input.endIndex else { throw .truncated }
                bits |= Int(input[position]) << bitCount
                position += 1
                bitCount += 8
            }
            let code = bits & ((1 << width) - 1)
            bits >>= width
            bitCount -= width

            if code == clear {
                (width, next, last) = (9, end, none)
                continue
            }
            if code == end { return output }
            guard code <= next else { throw .malformed("LZW code \(code) before it was assigned") }

            // The bytes of a code come last first. The code being assigned stands for the last word and its first byte.
            word.removeAll(keepingCapacity: true)
            let isBeingAssigned = code == next && last != none
            var walk = isBeingAssigned ? last : code
            while walk > end {
                word.append(suffix[walk])
                walk = Int(prefix[walk])
            }
            word.append(UInt8(truncatingIfNeeded: walk))
            let first = UInt8(truncatingIfNeeded: walk)
            guard output.count + word.count + 1 <= bytesMax else { throw .beyondLimit("inflated bytes") }
            output.append(contentsOf: word.reversed())
            if isBeingAssigned { output.append(first) }

            if last != none {
                prefix[next] = UInt16(last)
                suffix[next] = first
            }
            last = code
            next += 1
            if next >= 1 << width {
                if width == 12 {
                    // The table is full: nothing more is assigned until it is cleared.
                    (last, next) = (none, next - 1)
                } else {
                    width += 1
                }
            }
        }
    }
}
