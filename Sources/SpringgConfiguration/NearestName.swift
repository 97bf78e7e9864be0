/// The name that a misspelt one was most likely meant to be, or nil when none is near.
///
/// Near means: at most two slips (a letter more, less, other or swapped), or one in four letters of a long name.
func nearestName(to misspelt: String, among names: [String]) -> String? {
    let slipsMax = max(2, misspelt.count / 4)
    var best: (name: String, slips: Int)?
    for name in names {
        let slips = editDistance(Array(misspelt), Array(name))
        // Two slips make any short word into any other: at least half of the letters must be right.
        guard slips <= slipsMax, slips * 2 <= name.count else { continue }
        if slips < best?.slips ?? .max { best = (name, slips) }
    }
    return best?.name
}

/// Insertions, deletions, replacements and swaps of neighbours that lead from one word to the other
/// (optimal string alignment distance).
func editDistance(_ left: [Character], _ right: [Character]) -> Int {
    var beforeLast: [Int] = []
    var last = Array(0...right.count)
    for row in 0..<left.count {
        var current = [row + 1]
        for column in 0..<right.count {
            let same = left[row] == right[column]
            var cost = min(last[column + 1] + 1, current[column] + 1, last[column] + (same ? 0 : 1))
            if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
                cost = min(cost, beforeLast[column - 1] + 1)
            }
            current.append(cost)
        }
        beforeLast = last
        last = current
    }
    return last[right.count]
}
