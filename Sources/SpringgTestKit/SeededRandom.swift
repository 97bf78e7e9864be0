import Glibc

/// A random number generator whose whole future is its seed: xoshiro256** (Blackman and Vigna, 2018), filled by SplitMix64.
///
/// Every random test takes its numbers from one of these and prints the seed, so that a failure can be replayed.
public struct SeededRandom: RandomNumberGenerator, Sendable {
    /// What the generator was started from.
    public let seed: UInt64
    private var state: (UInt64, UInt64, UInt64, UInt64)

    /// Starts a generator; equal seeds give equal numbers on every machine.
    public init(seed: UInt64) {
        self.seed = seed
        // SplitMix64 spreads neighbouring seeds over the whole state, which must not be all zeros.
        var mix = seed
        func next() -> UInt64 {
            mix &+= 0x9E37_79B9_7F4A_7C15
            var word = mix
            word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
            word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
            return word ^ (word >> 31)
        }
        state = (next(), next(), next(), next())
    }

    /// The generator of one test: seeded by the environment's `SPRINGG_SEED` or else anew, and printed first.
    public static func fromEnvironment(_ test: String) -> SeededRandom {
        var system = SystemRandomNumberGenerator()
        // 32 bits are enough variety, and short enough to type again.
        var seed = system.next() >> 32
        if let text = getenv("SPRINGG_SEED"), let given = UInt64(String(cString: text)) {
            seed = given
        }
        print("\(test): SPRINGG_SEED=\(seed)")
        return SeededRandom(seed: seed)
    }

    /// The next 64 bits.
    public mutating func next() -> UInt64 {
        let scrambled = rotate(state.1 &* 5, by: 7) &* 9
        let shifted = state.1 << 17
        state.2 ^= state.0
        state.3 ^= state.1
        state.1 ^= state.2
        state.0 ^= state.3
        state.2 ^= shifted
        state.3 = rotate(state.3, by: 45)
        return scrambled
    }

    /// True once in `chances` times on average.
    public mutating func oneIn(_ chances: Int) -> Bool {
        Int.random(in: 0..<chances, using: &self) == 0
    }

    /// `count` floats, uniform in -1 ..< 1.
    public mutating func floats(_ count: Int) -> [Float] {
        (0..<count).map { _ in Float.random(in: -1..<1, using: &self) }
    }

    private func rotate(_ word: UInt64, by bits: UInt64) -> UInt64 {
        (word << bits) | (word >> (64 - bits))
    }
}
