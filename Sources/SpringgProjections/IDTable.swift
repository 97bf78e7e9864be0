import SpringgLog

/// Ids → slots: open addressing with linear probing, eight bytes an entry.
///
/// An entry holds 32 bits of the id's hash and the slot; the id itself stays with its row, and the owner compares it.
/// Load stays at or below 3/4; removal shifts entries back, so that no tombstones pile up.
struct IDTable {
    private static let empty = UInt64.max
    /// Memory of an empty table, in bytes: sixteen entries.
    static let bytesAtFirst = 128
    private var entries: [UInt64]
    private(set) var count = 0
    private var mask: Int

    init() {
        entries = Array(repeating: IDTable.empty, count: IDTable.bytesAtFirst / 8)
        mask = entries.count - 1
    }

    static func hash(_ id: UnsafeRawBufferPointer) -> UInt64 { Checksum.hash64(id) }

    /// Memory in bytes.
    var bytes: Int { entries.count * 8 }

    /// The slot whose id has this hash and satisfies `matches`.
    func find(_ hash: UInt64, _ matches: (UInt32) -> Bool) -> UInt32? {
        place(hash, matches).map { UInt32(truncatingIfNeeded: entries[$0]) }
    }

    /// Adds a slot for an id that is not in the table.
    mutating func insert(_ hash: UInt64, _ slot: UInt32) {
        if (count + 1) * 4 > entries.count * 3 { grow() }
        put(IDTable.entry(hash, slot))
        count += 1
    }

    /// Points an id to another slot.
    ///
    /// Returns false when the id is not in the table.
    mutating func replace(_ hash: UInt64, with slot: UInt32, _ matches: (UInt32) -> Bool) -> Bool {
        guard let place = place(hash, matches) else { return false }
        entries[place] = IDTable.entry(hash, slot)
        return true
    }

    /// Removes an id.
    mutating func remove(_ hash: UInt64, _ matches: (UInt32) -> Bool) {
        guard var hole = place(hash, matches) else { return }
        count -= 1
        var place = hole
        while true {
            place = (place + 1) & mask
            let entry = entries[place]
            guard entry != IDTable.empty else { break }
            // An entry may move back to the hole unless its home lies behind the hole.
            let home = Int(truncatingIfNeeded: entry >> 32) & mask
            if (place &- home) & mask >= (place &- hole) & mask {
                entries[hole] = entry
                hole = place
            }
        }
        entries[hole] = IDTable.empty
    }

    private static func entry(_ hash: UInt64, _ slot: UInt32) -> UInt64 {
        (hash & 0xFFFF_FFFF) << 32 | UInt64(slot)
    }

    private func place(_ hash: UInt64, _ matches: (UInt32) -> Bool) -> Int? {
        let tag = hash & 0xFFFF_FFFF
        var place = Int(truncatingIfNeeded: tag) & mask
        while true {
            let entry = entries[place]
            if entry == IDTable.empty { return nil }
            if entry >> 32 == tag, matches(UInt32(truncatingIfNeeded: entry)) { return place }
            place = (place + 1) & mask
        }
    }

    private mutating func put(_ entry: UInt64) {
        var place = Int(truncatingIfNeeded: entry >> 32) & mask
        while entries[place] != IDTable.empty { place = (place + 1) & mask }
        entries[place] = entry
    }

    private mutating func grow() {
        let old = entries
        entries = Array(repeating: IDTable.empty, count: old.count * 2)
        mask = entries.count - 1
        for entry in old where entry != IDTable.empty { put(entry) }
    }
}
