import SpringgArchive
import SpringgLog
import SpringgProjections

/// Brings what the Go program has saved to S3 to files of JSON lines, one for each index.
///
/// It keeps `INDEX/manifest.json`, which names blocks, and `INDEX/blocks/block-NNN.json` with up to 1,000 rows each. Rows are
/// handed on as they stand; whether they can be taken over is for the reader of the lines to say.
struct GoBucket {
    /// A manifest has some two hundred bytes for a thousand rows.
    private static let manifestBytesMax = 64 << 20
    /// A block has a thousand rows of at most 65,536 numbers of some twelve characters.
    private static let blockBytesMax = 1 << 30
    /// Objects that are looked through for manifests.
    private static let objectsMax = 10_000_000

    private let store: any ObjectStore
    private let progress = ProgressLine()

    init(_ store: any ObjectStore) { self.store = store }

    /// Makes a directory of `INDEX.jsonl` files.
    func download() throws -> ScratchDirectory {
        defer { progress.finish() }
        let names = try store.list(prefix: "", limit: GoBucket.objectsMax).compactMap { object -> String? in
            let parts = object.key.text.split(separator: "/")
            return parts.count == 2 && parts[1] == "manifest.json" ? String(parts[0]) : nil
        }
        guard !names.isEmpty else {
            throw CommandFailure(
                "\(store.location) holds no INDEX/manifest.json",
                advice: "give the bucket and prefix that the Go program had as s3_bucket"
            )
        }
        let scratch = try ScratchDirectory()
        for name in names { try download(name, to: scratch.path + "/" + name + ".jsonl") }
        return scratch
    }

    private func download(_ name: String, to path: String) throws {
        let manifestKey = try ObjectKey(name + "/manifest.json")
        let (blocks, total) = try GoBucket.parse(store.path(of: manifestKey)) {
            try GoBucket.manifest(store.read(manifestKey, limit: GoBucket.manifestBytesMax))
        }
        let file = try PosixFileSystem().open(path, .create)
        var offset = 0
        var rows = 0
        for block in blocks {
            let digits = String(block)
            let padded = String(repeating: "0", count: max(0, 3 - digits.utf8.count)) + digits
            let key = try ObjectKey("\(name)/blocks/block-\(padded).json")
            let (lines, count) = try GoBucket.parse(store.path(of: key)) {
                try GoBucket.lines(store.read(key, limit: GoBucket.blockBytesMax))
            }
            try lines.withUnsafeBytes { try file.write($0, at: offset) }
            offset += lines.count
            rows += count
            progress.show("Fetching \(name): \(rows) of \(total) vectors")
        }
        guard rows == total else {
            throw CommandFailure(
                "\(store.path(of: manifestKey)) says \(total) vectors, its blocks have \(rows)",
                advice: "it was being saved, or a save failed: let the Go program save again"
            )
        }
    }

    private static func parse<R>(_ object: String, _ body: () throws -> R) throws -> R {
        do {
            return try body()
        } catch is JSONError {
            throw CommandFailure("\(object) is not what the Go program writes", advice: "nothing was imported")
        }
    }

    /// Numbers of the blocks, and how many rows they have together.
    private static func manifest(_ bytes: [UInt8]) throws -> (blocks: [Int], total: Int) {
        try bytes.withUnsafeBytes { bytes in
            var reader = JSONReader(bytes)
            var blocks: [Int] = []
            var total: Int?
            try reader.beginObject()
            while let key = try reader.nextKey() {
                if key.isNamed("total_count") {
                    total = try reader.integer()
                } else if key.isNamed("blocks") {
                    guard try !reader.takeNull() else { continue }
                    try reader.beginArray()
                    while try reader.nextElement() {
                        var number: Int?
                        try reader.beginObject()
                        while let key = try reader.nextKey() {
                            if key.isNamed("block_index") { number = try reader.integer() } else { try reader.skip() }
                        }
                        guard let number, number >= 0 else { throw JSONError.invalid }
                        blocks.append(number)
                    }
                } else {
                    try reader.skip()
                }
            }
            try reader.finish()
            guard let total else { throw JSONError.invalid }
            return (blocks, total)
        }
    }

    /// The rows of a block, each in a line of its own.
    private static func lines(_ bytes: [UInt8]) throws -> (lines: [UInt8], rows: Int) {
        try bytes.withUnsafeBytes { bytes in
            var reader = JSONReader(bytes)
            var lines: [UInt8] = []
            lines.reserveCapacity(bytes.count)
            var rows = 0
            try reader.beginObject()
            while let key = try reader.nextKey() {
                guard key.isNamed("vectors") else {
                    try reader.skip()
                    continue
                }
                guard try !reader.takeNull() else { continue }
                try reader.beginArray()
                while try reader.nextElement() {
                    // A line break in JSON stands between its words only.
                    lines += try reader.skip().lazy.map { $0 == 0x0A || $0 == 0x0D ? 0x20 : $0 }
                    lines.append(0x0A)
                    rows += 1
                }
            }
            try reader.finish()
            return (lines, rows)
        }
    }
}
