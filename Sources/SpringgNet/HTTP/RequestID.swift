/// The name under which a request is found in logs: the client's own, or one made here.
package enum RequestID {
    /// Bytes of a client's name: a UUID with a prefix, and a bound on what is copied into answers and logs.
    package static let bytesMax = 64

    /// The client's name if it is one: printable without blanks, quotes and what ends a header or a line.
    package static func accepted(_ text: String) -> Bool {
        (1...bytesMax).contains(text.utf8.count) && text.utf8.allSatisfy(isAllowed)
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "-_.~:/+=@".utf8.contains(byte)
        }
    }

    /// Names that no other event loop or node makes, but by a chance of one in 2^60.
    struct Generator {
        private var state = UInt64.random(in: .min ... .max)

        /// 15 hex digits: as many as a string holds without an allocation.
        mutating func next() -> String {
            state &+= 0x9E37_79B9_7F4A_7C15
            // Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014: one to one.
            var mixed = state
            mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
            mixed ^= mixed >> 31
            return String(unsafeUninitializedCapacity: 15) { text in
                for place in 0..<15 {
                    let digit = UInt8(mixed >> UInt64(place * 4) & 15)
                    text[place] = digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
                }
                return 15
            }
        }
    }
}
