import Synchronization

/// The codes that are made of chunks while many of their rows wait to be linked.
extension VectorStore {
    /// The codes of a slot's chunk; makes room for them, if it may and memory is plentiful, where there are none.
    ///
    /// In a walk (`ProjectionResources.walks`) that began before: they stay at least as long.
    func codes(around slot: UInt32, making: Bool) -> RowCodes? {
        let holder = chunk(Int(slot) >> layout.shift).codes
        if let base = holder.pointee.load(ordering: .acquiring) { return codesLayout.codes(at: base) }
        guard making, memory.isPlentiful(for: codesLayout.bytes) else { return nil }
        let made = codesLayout.make()
        let (isFirst, other) = holder.pointee.compareExchange(
            expected: nil,
            desired: made.base,
            ordering: .acquiringAndReleasing
        )
        if isFirst {
            codedChunks.wrappingAdd(1, ordering: .relaxed)
            count(codesLayout.bytes)
            return made
        }
        made.base.deallocate()
        return other.map(codesLayout.codes)
    }

    /// Takes the codes of a slot's chunk out of sight, when none of its rows waits to be linked.
    ///
    /// The linker only. Searches in progress may still read and write them.
    func takeCodes(around slot: UInt32) -> RetiredCodes? {
        let number = Int(slot) >> layout.shift
        let holder = chunk(number).codes
        guard holder.pointee.load(ordering: .relaxed) != nil else { return nil }
        let first = UInt32(number << layout.shift)
        let end = min(first + UInt32(layout.capacity), UInt32(slotsUsed))
        guard !(first..<end).contains(where: { ledger.contains(.queued, $0) }) else { return nil }
        codedChunks.wrappingSubtract(1, ordering: .relaxed)
        return holder.pointee.exchange(nil, ordering: .acquiringAndReleasing).map(RetiredCodes.init)
    }

    /// Codes that no search begins to read.
    struct RetiredCodes: @unchecked Sendable {
        // Why @unchecked: it is handed from owner to owner, and only deallocated.
        let base: UnsafeMutableRawPointer
    }

    /// Gives back the memory of codes that no search reads any more.
    func free(_ codes: RetiredCodes) {
        codes.base.deallocate()
        count(-codesLayout.bytes)
    }

    /// Keeps codes that a search may still read to the end of the store.
    func keep(_ codes: [RetiredCodes]) { retiredCodes.withLock { $0 += codes } }
}
