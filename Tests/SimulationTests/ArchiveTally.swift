extension ReplicaSimulation {
    /// What archives saw; a run in which nothing happened to them would prove nothing.
    struct ArchiveTally {
        var generations = 0, racesLost = 0, faults = 0, acknowledged = 0, removed = 0, restored = 0, refused = 0
        var foreign = 0
        /// Archives that in the end held exactly what the members did.
        var equal = 0
        var hours: Int64 = 0

        mutating func add(_ other: ArchiveTally) {
            generations += other.generations
            racesLost += other.racesLost
            faults += other.faults
            acknowledged += other.acknowledged
            removed += other.removed
            restored += other.restored
            refused += other.refused
            foreign += other.foreign
            equal += other.equal
            hours += other.hours
        }
    }
}
