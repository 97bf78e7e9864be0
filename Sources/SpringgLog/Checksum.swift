import CSpringg

/// The checksum and the hashes of the formats (docs/design/formats.md), by their C kernels.
package enum Checksum {
    /// CRC-32C (Castagnoli); "123456789" gives 0xE3069283 (RFC 3720, appendix B.4 has more vectors).
    package static func crc32c(_ bytes: UnsafeRawBufferPointer, from crc: UInt32 = 0) -> UInt32 {
        springg_crc32c(crc, bytes.baseAddress, bytes.count)
    }

    /// XXH3, 64 bits, seeded: the step of an origin's chain.
    package static func hash64(_ bytes: UnsafeRawBufferPointer, seed: UInt64 = 0) -> UInt64 {
        springg_xxh3_64(bytes.baseAddress, bytes.count, seed)
    }

    /// XXH3, 128 bits: the summand of a state digest.
    package static func hash128(_ bytes: UnsafeRawBufferPointer) -> (low: UInt64, high: UInt64) {
        let hash = springg_xxh3_128(bytes.baseAddress, bytes.count, 0)
        return (hash.low, hash.high)
    }
}
