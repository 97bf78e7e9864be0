package import SpringgLog

/// An origin whose events are all there are: written one after the other, so that numbers and LSNs are the same.
package struct LoneOrigin {
    package let id: OriginID
    /// Its last event.
    package private(set) var head = VersionVector.Head.start

    package init(_ id: OriginID = OriginID(high: 1, low: 1)) { self.id = id }

    /// What holds its events up to here.
    package var heads: VersionVector {
        var heads = VersionVector()
        heads[id] = head
        return heads
    }

    /// Gives the event its place and, unless another time is named, the millisecond of its number; returns its LSN.
    @discardableResult
    package mutating func stamp(_ event: EncodedEvent, at hlc: HLC? = nil) -> LSN {
        let sequence = head.sequence.next
        let chain = event.stamp(
            origin: id,
            sequence: sequence,
            hlc: hlc ?? HLC(milliseconds: sequence.rawValue, counter: 0),
            seen: .none,
            previousChain: head.chain
        )
        head = .init(sequence: sequence, chain: chain)
        return LSN(sequence.rawValue)
    }
}
