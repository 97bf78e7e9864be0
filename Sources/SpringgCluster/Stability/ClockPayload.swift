/// A node's wall clock, as it goes with the answer to a ping: `SPC` and 1, then Unix milliseconds, 8 bytes, the lowest first.
///
/// Memberlist's agents ignore what they do not expect there.
package enum ClockPayload {
    private static let magic: [UInt8] = [0x53, 0x50, 0x43, 1]

    /// Writes it.
    package static func encode(milliseconds: UInt64) -> [UInt8] {
        magic + (0..<8).map { UInt8(truncatingIfNeeded: milliseconds >> (8 * $0)) }
    }

    /// Nil for what somebody else's agent says there.
    package static func decode(_ bytes: [UInt8]) -> UInt64? {
        guard bytes.count == magic.count + 8, bytes.starts(with: magic) else { return nil }
        return bytes.dropFirst(magic.count).reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}
