import SpringgNet
import SpringgTestKit
import Testing

@Suite struct RateLimiterTests {
    private static let second: UInt64 = 1_000_000_000

    @Test func aBurstPassesAndThenTheRate() {
        let limiter = Limiter(perSecond: 10, burst: 5)
        let address = AddressKey(ipv4: 1)
        let start = 77 * Self.second
        let burst = (0..<8).map { _ in limiter.admit(address, now: start) }
        #expect(burst == [true, true, true, true, true, false, false, false])
        #expect(!limiter.admit(address, now: start + Self.second / 10 - 1))
        #expect(limiter.admit(address, now: start + Self.second / 10))
        #expect(!limiter.admit(address, now: start + Self.second / 10))
        // However long the pause, no more than the burst.
        let later = (0..<8).filter { _ in limiter.admit(address, now: start + 1000 * Self.second) }
        #expect(later.count == 5)
    }

    @Test func addressesDoNotShareAndPortsDoNotCount() {
        let limiter = Limiter(perSecond: 1, burst: 1)
        #expect(limiter.admit(AddressKey(ipv4: 1), now: 1))
        #expect(limiter.admit(AddressKey(ipv4: 2), now: 1))
        #expect(!limiter.admit(AddressKey(ipv4: 1), now: 1))
        // The same address as a dual-stack socket reports it.
        #expect(AddressKey(ipv6Upper: 0, lower: 0xFFFF_0000_0001) == AddressKey(ipv4: 1))
        // One customer's /64 is one address, the next /64 another.
        #expect(AddressKey(ipv6Upper: 7, lower: 1) == AddressKey(ipv6Upper: 7, lower: 2))
        #expect(AddressKey(ipv6Upper: 7, lower: 1) != AddressKey(ipv6Upper: 8, lower: 1))
    }

    @Test func aClockThatStepsBackGivesNothingAway() {
        let limiter = Limiter(perSecond: 1, burst: 1)
        let address = AddressKey(ipv4: 1)
        #expect(limiter.admit(address, now: 10 * Self.second))
        #expect(!limiter.admit(address, now: 0))
        #expect(!limiter.admit(address, now: 10 * Self.second + Self.second / 2))
        #expect(limiter.admit(address, now: 11 * Self.second))
    }

    @Test func aFloodOfAddressesNeitherGrowsTheTableNorForgetsWhoIsThere() {
        let limiter = Limiter(perSecond: 1, burst: 2, addressesMax: 100)
        let known = AddressKey(ipv4: 1)
        #expect(limiter.admit(known, now: 1))
        #expect(limiter.admit(known, now: 1))
        let admitted = (2..<10_000).filter { limiter.admit(AddressKey(ipv4: $0), now: 1) }
        #expect(limiter.addressCount == 100)
        // 99 with a bucket of their own, two tokens shared by all the others.
        #expect(admitted.count == 101)
        #expect(!limiter.admit(known, now: 1))
        // When the buckets have refilled there is room again.
        #expect(limiter.admit(AddressKey(ipv4: 20_000), now: 10 * Self.second))
        #expect(limiter.addressCount == 1)
    }

    @Test func noOneGetsMoreThanRateTimesTimePlusBurst() {
        var random = SeededRandom.fromEnvironment("noOneGetsMoreThanRateTimesTimePlusBurst")
        for _ in 0..<200 {
            let rate = Int.random(in: 1...500, using: &random)
            let burst = Int.random(in: 1...500, using: &random)
            let limiter = Limiter(perSecond: rate, burst: burst)
            var now: UInt64 = 1
            var admitted = 0
            for _ in 0..<500 {
                now += UInt64.random(in: 0...20_000_000, using: &random)
                admitted += limiter.admit(AddressKey(ipv4: 9), now: now) ? 1 : 0
            }
            let allowed = Double(rate) * Double(now) / 1e9 + Double(burst)
            #expect(Double(admitted) <= allowed + 1e-6, "rate \(rate) burst \(burst)")
        }
    }
}

/// A limiter in a class: an expectation cannot change a value.
private final class Limiter {
    private var limiter: RateLimiter

    init(perSecond: Int, burst: Int, addressesMax: Int = RateLimiter.addressesMax) {
        limiter = RateLimiter(perSecond: perSecond, burst: burst, addressesMax: addressesMax)
    }

    func admit(_ address: AddressKey, now: UInt64) -> Bool { limiter.admit(address, now: now) }

    var addressCount: Int { limiter.addressCount }
}
