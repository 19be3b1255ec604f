// How a refusal reads, and the periods budgets are counted in. Pure.
import Foundation
import TextFormats

extension BudgetRefusal {
    static func suspended(_ reason: String) -> BudgetRefusal {
        BudgetRefusal(code: .suspended, detail: "The account is suspended: \(reason)", resetsAt: nil)
    }

    static func notAllowed(_ model: String, _ limits: UsageLimits) -> BudgetRefusal {
        BudgetRefusal(
            code: .modelNotAllowed,
            detail: "The user's plan does not have the model \(model); it has \(limits.models.joined(separator: ", ")).",
            resetsAt: nil)
    }

    static func unpriced(_ model: String, isOfService: Bool) -> BudgetRefusal {
        BudgetRefusal(
            code: .modelUnpriced,
            detail: "The model \(model) has no price, and \(isOfService ? "the whole service" : "the user") has a limit in "
                + "USD: add the model to \"prices\" in config.json (0 is a price), or ask for another model.",
            resetsAt: nil)
    }

    /// Nothing a user has done: all of them together.
    static func service(_ code: Code, _ what: String, until end: Date, isMomentary: Bool = false) -> BudgetRefusal {
        BudgetRefusal(
            code: code, detail: "The whole service has used up its \(what); it goes on \(RFC3339.string(end)).",
            resetsAt: end, isMomentary: isMomentary)
    }
}

extension BudgetDesk {
    /// The day and the month around a moment, in a time zone.
    struct Periods {
        var dayStart, dayEnd, monthStart, monthEnd: Date

        init(now: Date, zone: String) {
            var calendar = Calendar(identifier: .gregorian)
            calendar.timeZone = TimeZone(identifier: zone) ?? .gmt
            dayStart = calendar.startOfDay(for: now)
            let day = calendar.dateInterval(of: .day, for: now)
            let month = calendar.dateInterval(of: .month, for: now)
            dayEnd = day?.end ?? now.addingTimeInterval(86_400)
            monthStart = month?.start ?? dayStart
            monthEnd = month?.end ?? dayEnd
        }
    }
}
