import SpringgLog
import SpringgProjections
import SpringgTestKit
import Testing

/// The promise as a whole: after any crash and any damaged byte a node serves what it acknowledged, or says what is wrong.
@Suite("A damaged data directory")
struct DamagedDirectoryTests {
    /// What was acknowledged, and the one command that may be there or not.
    private struct Model {
        var indexes: [String: [String: [Float]]] = [:]
        var open: Step?

        enum Step {
            case create(String), drop(String), put(String, String, [Float]), delete(String, String)
        }

        mutating func apply(_ step: Step) {
            switch step {
            case .create(let index): indexes[index] = indexes[index] ?? [:]
            case .drop(let index): indexes[index] = nil
            case .put(let index, let id, let vector): indexes[index]?[id] = vector
            case .delete(let index, let id): indexes[index]?[id] = nil
            }
        }

        static func command(_ step: Step) throws -> Command {
            switch step {
            case .create(let index): .createIndex(name: try DatabaseTests.name(index), dimensions: 16)
            case .drop(let index): .deleteIndex(name: try DatabaseTests.name(index))
            case .put(let index, let id, let vector): try DatabaseTests.put(index, id, vector)
            case .delete(let index, let id): .delete(index: try DatabaseTests.name(index), id: try DatabaseTests.id(id))
            }
        }

        static func random(using random: inout SeededRandom) -> Step {
            let index = ["a", "b"][Int.random(in: 0...1, using: &random)]
            let id = "v\(Int.random(in: 0..<30, using: &random))"
            switch Int.random(in: 0..<100, using: &random) {
            case 0..<4: return .drop(index)
            case 4..<12: return .create(index)
            case 12..<25: return .delete(index, id)
            default: return .put(index, id, random.floats(16))
            }
        }
    }

    private static func open(_ disk: SimulatedFileSystem, checkpoints: Bool) throws -> Database {
        try DatabaseTests.open(disk) {
            $0.segmentBytes = 4096
            $0.checkpointSeconds = checkpoints ? 0.001 : 0
            $0.lastCheckpointSeconds = 0
            $0.retention = RetentionPolicy(bytes: 6 * 4096)
        }
    }

    private static func state(_ database: Database) -> [String: [String: [Float]]] {
        var state: [String: [String: [Float]]] = [:]
        for index in database.indexes() {
            var rows: [String: [Float]] = [:]
            index.forEachRowInIDOrder { row in
                rows[String(decoding: row.id, as: UTF8.self)] = Array(row.vector)
                return true
            }
            state[index.name.description] = rows
        }
        return state
    }

    @Test("random writes, a crash, one damaged byte anywhere, a start: the acknowledged state, or the damage by name")
    func oneByte() throws {
        var random = SeededRandom.fromEnvironment("a damaged data directory")
        var (served, refused) = (0, 0)
        for round in 0..<600 {
            let disk = SimulatedFileSystem()
            var model = Model()
            for life in 0..<Int.random(in: 1...3, using: &random) {
                let database = try DamagedDirectoryTests.open(disk, checkpoints: random.oneIn(2))
                if life > 0 { DamagedDirectoryTests.check(database, model, "round \(round), before the damage") }
                // What was under way when the last life ended has been decided by now.
                model.indexes = DamagedDirectoryTests.state(database)
                model.open = nil
                disk.fail(callFromNow: Int.random(in: 1...2000, using: &random), .stop)
                for _ in 0..<Int.random(in: 1...150, using: &random) {
                    let step = Model.random(using: &random)
                    let result = DatabaseTests.write(database, [try Model.command(step)]).first
                    switch result {
                    case .success?: model.apply(step)
                    case .failure(.indexNotFound)?, .failure(.indexExists)?, .failure(.vectorNotFound)?: break
                    default: model.open = step
                    }
                    if model.open != nil { break }
                }
                if random.oneIn(3) { database.close() }
                random.oneIn(2) ? disk.kill() : disk.crash(using: &random)
                database.close()
            }
            let files = disk.paths.filter { disk.contents($0)?.isEmpty == false }
            let path = files[Int.random(in: 0..<files.count, using: &random)]
            var bytes = try #require(disk.contents(path))
            let place = Int.random(in: 0..<bytes.count, using: &random)
            bytes[place] ^= UInt8.random(in: 1...255, using: &random)
            disk.setContents(path, bytes)
            do {
                let database = try DamagedDirectoryTests.open(disk, checkpoints: false)
                DamagedDirectoryTests.check(database, model, "round \(round): \(path) at \(place)")
                database.close()
                served += 1
            } catch let error as LogError {
                #expect("\(error)".contains(path), "round \(round): \(path) at \(place): \(error)")
                refused += 1
            }
        }
        print("a damaged data directory: served \(served), refused \(refused)")
        #expect(served > 0 && refused > 0)
    }

    private static func check(_ database: Database, _ model: Model, _ place: String) {
        let found = state(database)
        var other = model
        if let open = model.open { other.apply(open) }
        #expect(found == model.indexes || found == other.indexes, "\(place)")
    }
}
