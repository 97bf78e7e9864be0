import SpringgLog

/// What `/api/stats` shows of the archive.
public struct ArchiveFigures: Sendable {
    /// Where it is.
    public var place = ""
    /// Its newest manifest; 0 before there is one.
    public var generation: UInt64 = 0
    /// Events that this node holds and the archive lacks.
    public var lagEvents: UInt64 = 0
    /// How much, in seconds, would be lost with this node.
    public var rpoSeconds = 0.0
    /// When this node's last round ended well, in seconds since 1970.
    public var lastSuccess: Double?
    /// Why its last one failed.
    public var lastError: String?
    /// Bytes of the log that are kept for the archive.
    public var waitingBytes = 0
    /// Beyond how many they go all the same; 0 for no bound.
    public var waitingLimitBytes = 0

    /// Nothing yet.
    public init() {}

    func write(to body: inout ResponseWriter) {
        body.raw(#"{"place":"#)
        body.string(place)
        body.raw(#","generation":"#)
        body.integer(Int(clamping: generation))
        body.raw(#","lag_events":"#)
        body.integer(Int(clamping: lagEvents))
        body.raw(#","s3_rpo_seconds":"#)
        body.double(rpoSeconds)
        body.raw(#","last_success":"#)
        if let lastSuccess { body.string(CivilTime.rfc3339(lastSuccess)) } else { body.raw("null") }
        body.raw(#","last_error":"#)
        if let lastError { body.string(lastError) } else { body.raw("null") }
        body.raw(#","waiting_bytes":"#)
        body.integer(waitingBytes)
        body.raw(#","waiting_limit_bytes":"#)
        body.integer(waitingLimitBytes)
        body.raw("}")
    }
}
