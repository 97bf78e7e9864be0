/// SHA-256 of bytes: the name of what is stored under it.
package struct ContentHash: Hashable, Sendable, CustomStringConvertible {
    /// 64 lower-case hexadecimal digits.
    package let description: String

    package init(of bytes: [UInt8]) {
        description = Digest.hex(Digest.sha256(bytes))
    }

    /// Reads what `description` prints.
    package init?(_ text: String) {
        guard text.utf8.count == 64,
            text.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) })
        else { return nil }
        description = text
    }
}
