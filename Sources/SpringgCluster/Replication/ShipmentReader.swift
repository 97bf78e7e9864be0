package import SpringgLog

/// What one request brings to a peer.
package struct Shipment: Sendable {
    /// The message, ready to be sent.
    package var message: [UInt8]
    /// Events in it.
    package var events: Int
    /// Bytes of those.
    package var bytes: Int
    /// Origins of which the peer lacks something that this log no longer has.
    package var gaps: Set<OriginID>

    /// No events: a question what the peer holds.
    package static func empty(from origin: OriginID, _ sender: Sender) -> Shipment {
        var nothing = EventsMessage.Builder(bytesExpected: 0, from: sender)
        return Shipment(message: nothing.finish(origin: origin), events: 0, bytes: 0, gaps: [])
    }
}

/// Reads for one peer what it lacks, and goes on where it stopped.
///
/// Not thread-safe.
package final class ShipmentReader {
    private let log: Log
    /// The name of the node that sends what is read.
    private let name: String
    private var shipper: LogShipper?
    private var origins: Set<OriginID> = []

    /// Bytes of an event in the last shipment that had some: by it memory for the next is taken at once.
    private var bytesOfEvent = 4096

    package init(_ log: Log, from name: String = "") {
        self.log = log
        self.name = name
    }

    /// Events of `origins` that `held` lacks, about `bytesMax` of them.
    ///
    /// - Throws: `.otherHistory` when the peer holds another event in the place of one of the log; `.corrupt`, `.io`.
    package func read(
        _ origins: Set<OriginID>,
        lacking held: VersionVector,
        bytesMax: Int
    ) throws(LogError) -> Shipment {
        do throws(LogError) {
            return try take(from: shipper(for: origins, lacking: held), bytesMax: bytesMax)
        } catch {
            shipper = nil
            // Retention was quicker than the reader: what is left begins elsewhere.
            guard case .trimmed = error else { throw error }
            return try take(from: shipper(for: origins, lacking: held), bytesMax: bytesMax)
        }
    }

    /// What follows the last shipment, for a peer that is going to hold that one; nil when nothing does.
    package func readOn(bytesMax: Int) throws(LogError) -> Shipment? {
        guard let shipper else { return nil }
        do throws(LogError) {
            let shipment = try take(from: shipper, bytesMax: bytesMax)
            return shipment.events > 0 ? shipment : nil
        } catch {
            self.shipper = nil
            throw error
        }
    }

    /// Events of all origins that `held` lacks, but for those that have another history there.
    package func readAll(lacking held: VersionVector, bytesMax: Int) throws(LogError) -> Shipment {
        var origins = Set(log.versionVector.origins)
        while true {
            do throws(LogError) {
                return try read(origins, lacking: held, bytesMax: bytesMax)
            } catch .otherHistory(let origin, _) where origins.remove(origin) != nil {
                // One that cannot go there is no reason for the others not to.
            } catch {
                throw error
            }
        }
    }

    private func take(from shipper: LogShipper, bytesMax: Int) throws(LogError) -> Shipment {
        let (durable, next) = (log.watermarks.durable, shipper.position)
        let ahead = durable >= next ? durable.rawValue - next.rawValue + 1 : 0
        let expected = Int(min(Double(ahead) * Double(bytesOfEvent), Double(bytesMax)))
        var builder = EventsMessage.Builder(bytesExpected: expected + expected / 8, from: Sender(name: name))
        var isCaughtUp = false
        while builder.eventBytes < bytesMax, !isCaughtUp {
            let batch = try shipper.next(bytesMax: bytesMax - builder.eventBytes) { record in
                if origins.contains(record.envelope.origin) { builder.append(record.envelope) }
            }
            isCaughtUp = batch.isCaughtUp
        }
        if builder.count > 0 { bytesOfEvent = builder.eventBytes / builder.count }
        let gaps = Set(shipper.gaps.map(\.origin)).filter { origins.contains($0) }
        return Shipment(
            message: builder.finish(origin: log.origin, isOutOfReach: !gaps.isEmpty),
            events: builder.count,
            bytes: builder.eventBytes,
            gaps: gaps
        )
    }

    /// The reader in hand, if it stands where the peer does.
    private func shipper(for origins: Set<OriginID>, lacking held: VersionVector) -> LogShipper {
        if let shipper, self.origins == origins, origins.allSatisfy({ shipper.held[$0] == held[$0] }) {
            return shipper
        }
        var start = held
        // What is not for this peer counts as held, so that nothing is read for its sake.
        let ours = log.versionVector
        for origin in ours.origins where !origins.contains(origin) { start[origin] = ours[origin] }
        let made = LogShipper(log: log, lacking: start)
        shipper = made
        self.origins = origins
        return made
    }
}
