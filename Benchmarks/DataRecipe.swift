import CSpringg
import Glibc
import SpringgTestKit
import Synchronization

/// A made-up set of vectors that is the same, bit for bit, wherever it is made: only sums and products, no library's
/// logarithm.
///
/// Every row is a sum of three parts, scaled to length 1:
///
///     row = centre + latent · basis + noise
///
/// `latent` has few components, each normal; `basis` maps them to all dimensions and is the same for all rows; `noise` is normal in
/// each dimension. Normal stands for the sum of twelve uniform numbers, which has the variance 1 and nobody tells apart here.
/// Queries are made as rows are, and are none of them.
struct DataRecipe {
    let name: String
    let meaning: String
    let rows: Int
    var queries = 1000
    let dimensions: Int
    /// Clusters, whose centres are normal in all dimensions; 0 for none.
    var centres = 0
    /// Components of `latent`; 0 for none.
    var latent = 0
    /// Deviation of the noise, where centre and latent part have 1.
    let noise: Float
    let seed: UInt64

    /// Where made sets are kept, below the directory that the benchmark is started in.
    static let place = ".build/bench-data"

    /// As hard as real text embeddings: hnswlib with M 16 and efConstruction 200 needs an ef between 25 and 45 for a
    /// recall@10 of 0.95.
    static func realistic(rows: Int, seed: UInt64) -> DataRecipe {
        DataRecipe(
            name: "realistic",
            meaning: "16 latent dimensions, noise 0.5",
            rows: rows,
            dimensions: 1024,
            latent: 16,
            noise: 0.5,
            seed: seed
        )
    }

    /// What no graph likes: clusters of which each is a ball in all dimensions, so that neighbours are hardly nearer than others.
    static func hard(rows: Int, seed: UInt64) -> DataRecipe {
        DataRecipe(
            name: "hard",
            meaning: "20 clusters, isotropic, noise 1",
            rows: rows,
            dimensions: 1024,
            centres: 20,
            noise: 1,
            seed: seed
        )
    }

    /// Makes the set in a directory below `place`, unless it is there; returns its path.
    func make(in place: String) throws -> String {
        let directory = "\(place)/\(name)-\(rows)x\(dimensions)-seed\(seed)"
        if Files.exists(directory + "/set.json") { return directory }
        progress("making \(directory): \(meaning)")
        for path in [place, directory] where mkdir(path, 0o755) != 0 && errno != EEXIST {
            throw TestKitError.system("making \(path)")
        }
        var random = SeededRandom(seed: seed)
        let centres = Matrix(rows: self.centres, columns: dimensions) { random.normal() }
        let scale = 1 / Float(max(latent, 1)).squareRoot()
        let basis = Matrix(rows: latent, columns: dimensions) { random.normal() * scale }
        let all = try draw(rows, stream: 1, centres, basis)
        let asked = try draw(queries, stream: 2, centres, basis)
        try all.write(directory + "/base.f32")
        try asked.write(directory + "/queries.f32")
        let truth = try ExactAnswers.find(asked, in: all)
        try truth.withUnsafeBytes { try Matrix.write($0, directory + "/groundtruth.i32") }
        // Last: with it the set is whole.
        let about =
            #"{"name":\#(JSONValue.quoted(name)),"recipe":\#(JSONValue.quoted(meaning)),"dimensions":\#(dimensions),"#
            + #""rows":\#(rows),"queries":\#(queries),"seed":\#(seed)}"#
        try Files.write(directory + "/set.json", Array((about + "\n").utf8))
        return directory
    }

    /// Draws vectors; each has a generator of its own, so that threads do not matter.
    private func draw(_ count: Int, stream: UInt64, _ centres: Matrix, _ basis: Matrix) throws -> Matrix {
        let drawn = Matrix(rows: count, columns: dimensions)
        let next = Atomic<Int>(0)
        let recipe = self
        try WorkerThread.run(processors()) { _ in
            while true {
                let number = next.wrappingAdd(1, ordering: .relaxed).oldValue
                guard number < count else { return }
                var random = SeededRandom(seed: recipe.seed &* 0x1_0000_0001 &+ stream << 40 &+ UInt64(number))
                let row = drawn[number]
                for place in row.indices { row[place] = random.normal() * recipe.noise }
                if centres.rows > 0 {
                    let centre = centres[Int(random.next() % UInt64(centres.rows))]
                    for place in row.indices { row[place] += centre[place] }
                }
                for axis in 0..<basis.rows {
                    let strength = random.normal()
                    let direction = basis[axis]
                    for place in row.indices { row[place] += strength * direction[place] }
                }
                var sum = 0.0
                for value in row { sum += Double(value) * Double(value) }
                let inverse = Float(1 / sum.squareRoot())
                for place in row.indices { row[place] *= inverse }
            }
        }
        return drawn
    }
}

/// Cores of this machine.
func processors() -> Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

extension SeededRandom {
    /// A number from nearly the normal distribution: twelve uniform ones of 16 bits have the variance 1 together.
    fileprivate mutating func normal() -> Float {
        var sum: UInt64 = 0
        for _ in 0..<3 {
            let word = next()
            sum += (word & 0xFFFF) + (word >> 16 & 0xFFFF) + (word >> 32 & 0xFFFF) + word >> 48
        }
        // The mean of one is 32,767.5.
        return (Float(sum) - 12 * 32_767.5) / 65_536
    }
}

/// Rows of float32 in one piece of memory.
final class Matrix: @unchecked Sendable {
    // Why @unchecked: threads that fill it have rows of their own, and it is read when they are done.
    let rows: Int
    let columns: Int
    private let values: UnsafeMutableBufferPointer<Float>

    init(rows: Int, columns: Int) {
        self.rows = rows
        self.columns = columns
        values = .allocate(capacity: rows * columns)
        values.initialize(repeating: 0)
    }

    convenience init(rows: Int, columns: Int, _ next: () -> Float) {
        self.init(rows: rows, columns: columns)
        for place in values.indices { values[place] = next() }
    }

    deinit { values.deallocate() }

    subscript(row: Int) -> UnsafeMutableBufferPointer<Float> {
        UnsafeMutableBufferPointer(rebasing: values[row * columns..<(row + 1) * columns])
    }

    func write(_ path: String) throws { try Self.write(UnsafeRawBufferPointer(values), path) }

    /// Makes a file of bytes that may be too many for a copy.
    static func write(_ bytes: UnsafeRawBufferPointer, _ path: String) throws {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw TestKitError.system("creating \(path)") }
        defer { close(file) }
        var done = 0
        while done < bytes.count {
            let wrote = Glibc.write(file, bytes.baseAddress.map { $0 + done }, min(bytes.count - done, 1 << 24))
            guard wrote > 0 else { throw TestKitError.system("writing \(path)") }
            done += wrote
        }
    }
}

/// The ten nearest rows of each query, by comparing with every row.
private enum ExactAnswers {
    /// Candidates by float32 whose order is found again in double precision.
    private static let candidates = 2 * DataSet.k

    static func find(_ queries: Matrix, in rows: Matrix) throws -> [Int32] {
        let answers = Mutex([Int32](repeating: -1, count: queries.rows * DataSet.k))
        let next = Atomic<Int>(0)
        try WorkerThread.run(processors()) { _ in
            var dots = [Float](repeating: 0, count: rows.rows)
            while true {
                let number = next.wrappingAdd(1, ordering: .relaxed).oldValue
                guard number < queries.rows else { return }
                let query = queries[number]
                springg_dot_rows(query.baseAddress, rows[0].baseAddress, rows.columns, rows.columns, rows.rows, &dots)
                let nearest = nearest(dots).map { row in
                    (row: row, score: springg_dot_double(query.baseAddress, rows[row].baseAddress, rows.columns))
                }.sorted { $0.score != $1.score ? $0.score > $1.score : $0.row < $1.row }
                answers.withLock { answers in
                    for (place, found) in nearest.prefix(DataSet.k).enumerated() {
                        answers[number * DataSet.k + place] = Int32(found.row)
                    }
                }
            }
        }
        return answers.withLock { $0 }
    }

    private static func nearest(_ dots: [Float]) -> [Int] {
        var best: [Int] = []
        for row in dots.indices {
            if best.count == candidates, dots[row] <= dots[best[candidates - 1]] { continue }
            best.insert(row, at: best.firstIndex { dots[$0] < dots[row] } ?? best.count)
            if best.count > candidates { best.removeLast() }
        }
        return best
    }
}
