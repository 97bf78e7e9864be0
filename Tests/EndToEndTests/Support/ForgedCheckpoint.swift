import SpringgLog
import SpringgTestKit

/// Changes what the newest checkpoint of a node that was stopped says, and makes it whole again.
///
/// Every checksum is right, and the state is not that of the log: no crash and no failing disk does that, a defect of the program could.
enum ForgedCheckpoint {
    /// Gives the visible row `id` of some index another id of the same length.
    static func rename(_ id: String, to other: String, in dataPath: String) throws {
        let directory = dataPath + "/checkpoints"
        let newest = try Files.list(directory).filter { $0.hasSuffix(".manifest") }.max()?.dropLast(
            ".manifest".utf8.count
        )
        guard let newest, id.utf8.count == other.utf8.count else {
            throw TestKitError("nothing to forge in \(directory)")
        }
        for name in try Files.list(directory) where name.hasPrefix(newest + "-") && name.hasSuffix(".index") {
            var bytes = try Files.read(directory + "/" + name)
            if rename(Array(id.utf8), to: Array(other.utf8), in: &bytes) {
                return try Files.write(directory + "/" + name, bytes)
            }
        }
        throw TestKitError("no checkpoint in \(directory) has \(id)")
    }

    /// Offsets as in docs/design/formats.md.
    private static func rename(_ id: [UInt8], to other: [UInt8], in file: inout [UInt8]) -> Bool {
        var block = 64
        while case let size = Int(integer(UInt32.self, file, block)), size > 0 {
            let end = block + 8 + size
            var entry = block + 8
            while entry < end {
                let (length, metadata) = (integer(UInt16.self, file, entry + 2), integer(UInt32.self, file, entry + 4))
                let start = entry + 40 + 4 * Int(integer(UInt32.self, file, entry + 8))
                let place = start..<start + Int(length)
                if file[entry] == 1, Array(file[place]) == id {
                    let version = Array(file[entry + 16..<entry + 40])
                    let (was, will) = (hash(version, id), hash(version, other))
                    put((integer(UInt64.self, file, 32).byteSwapped &- was.high &+ will.high).byteSwapped, &file, 32)
                    put((integer(UInt64.self, file, 40).byteSwapped &- was.low &+ will.low).byteSwapped, &file, 40)
                    file.replaceSubrange(place, with: other)
                    put(checksum(file[0..<60]), &file, 60)
                    put(checksum(file[block + 8..<end]), &file, block + 4)
                    return true
                }
                entry += (place.upperBound + Int(metadata) - entry + 7) / 8 * 8
            }
            block = end
        }
        return false
    }

    /// The summand of a state digest.
    private static func hash(_ version: [UInt8], _ id: [UInt8]) -> (low: UInt64, high: UInt64) {
        (version + id).withUnsafeBytes { Checksum.hash128($0) }
    }

    private static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt32 { bytes.withUnsafeBytes { Checksum.crc32c($0) } }

    private static func integer<T: FixedWidthInteger>(_: T.Type, _ bytes: [UInt8], _ offset: Int) -> T {
        bytes.withUnsafeBytes { T(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: T.self)) }
    }

    private static func put<T: FixedWidthInteger>(_ value: T, _ bytes: inout [UInt8], _ offset: Int) {
        withUnsafeBytes(of: value.littleEndian) { bytes.replaceSubrange(offset..<offset + $0.count, with: $0) }
    }
}
