import Synchronization

/// The part of a remote address that limits are counted by: the whole of an IPv4 address, the /64 of an IPv6 one.
///
/// One customer usually holds a whole /64, so counting single IPv6 addresses would limit nobody. The port is no part
/// of it, and no header is trusted to say another address.
package struct AddressKey: Hashable, Sendable {
    /// IPv4: the address below a marker that no IPv6 prefix in use has; IPv6: the upper 64 bits.
    let rawValue: UInt64

    package init(ipv4 address: UInt32) {
        rawValue = Self.ipv4Marker | UInt64(address)
    }

    private static let ipv4Marker: UInt64 = 0xFFFF_FFFF_0000_0000

    /// An IPv4-mapped address (`::ffff:a.b.c.d`, what a dual-stack socket reports) counts as the IPv4 address.
    package init(ipv6Upper upper: UInt64, lower: UInt64) {
        let isMapped = upper == 0 && lower >> 32 == 0xFFFF
        rawValue = isMapped ? Self.ipv4Marker | (lower & 0xFFFF_FFFF) : upper
    }
}

/// A token bucket for each remote address, in a table of bounded size.
///
/// A pure value: time is handed in, in nanoseconds of any monotonic clock.
/// Invariant: the table never holds more than `addressesMax` buckets. When it is full of addresses that have not
/// refilled yet, newcomers share one bucket: a flood from many addresses then slows newcomers, never known clients,
/// and never grows the table.
package struct RateLimiter: Sendable {
    /// 65,536 buckets are about 3 MB: more addresses than a node serves within a bucket's refill time.
    package static let addressesMax = 65_536

    private struct Bucket {
        var tokens: Double
        var updated: UInt64
    }

    private let perNanosecond: Double
    private let burst: Double
    private let refillNanoseconds: UInt64
    private let capacity: Int
    private var buckets: [AddressKey: Bucket] = [:]
    private var overflow: Bucket
    private var lastSweep: UInt64 = 0

    /// - Parameters:
    ///   - perSecond: Tokens a second, more than 0.
    ///   - burst: Tokens that a full bucket holds; 0 = as many as `perSecond`.
    ///   - addressesMax: Buckets that the table holds at most.
    package init(perSecond: Int, burst: Int, addressesMax: Int = RateLimiter.addressesMax) {
        precondition(perSecond > 0, "a rate of \(perSecond) means that there is no limiter")
        let burst = Double(burst > 0 ? burst : perSecond)
        perNanosecond = Double(perSecond) / 1e9
        self.burst = burst
        refillNanoseconds = UInt64((burst / perNanosecond).rounded(.up))
        capacity = addressesMax
        overflow = Bucket(tokens: burst, updated: 0)
    }

    /// Takes a token for one request.
    ///
    /// - Parameters:
    ///   - address: Who sent the request.
    ///   - now: Nanoseconds of a monotonic clock.
    /// - Returns: False when the address has none left.
    package mutating func admit(_ address: AddressKey, now: UInt64) -> Bool {
        if let known = buckets.index(forKey: address) {
            return take(from: &buckets.values[known], now: now)
        }
        if buckets.count >= capacity {
            sweep(now: now)
        }
        guard buckets.count < capacity else {
            return take(from: &overflow, now: now)
        }
        buckets[address] = Bucket(tokens: burst - 1, updated: now)
        return true
    }

    /// Addresses that the table holds now.
    package var addressCount: Int { buckets.count }

    private func take(from bucket: inout Bucket, now: UInt64) -> Bool {
        let elapsed = now > bucket.updated ? now - bucket.updated : 0
        bucket.tokens = min(burst, bucket.tokens + Double(elapsed) * perNanosecond)
        bucket.updated = max(now, bucket.updated)
        guard bucket.tokens >= 1 else {
            return false
        }
        bucket.tokens -= 1
        return true
    }

    /// Drops the buckets that are full again: an address without a bucket is one with a full bucket.
    ///
    /// Once in a quarter of the refill time at most, so that a flood cannot make every request pay for a sweep.
    private mutating func sweep(now: UInt64) {
        guard lastSweep == 0 || now >= lastSweep + refillNanoseconds / 4 else {
            return
        }
        lastSweep = now
        buckets = buckets.filter { _, bucket in
            let elapsed = now > bucket.updated ? now - bucket.updated : 0
            return bucket.tokens + Double(elapsed) * perNanosecond < burst
        }
    }
}

/// The limiter that all event loops share.
final class RateLimiterBox: Sendable {
    private let limiter: Mutex<RateLimiter>

    init(_ limiter: RateLimiter) {
        self.limiter = Mutex(limiter)
    }

    func admit(_ address: AddressKey, now: UInt64) -> Bool {
        limiter.withLock { $0.admit(address, now: now) }
    }
}
