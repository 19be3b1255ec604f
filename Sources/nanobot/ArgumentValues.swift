// Words of the rooms below that can be typed as options. Conformances only.

import ArgumentParser
import Jobs
import Scheduler
import Spool
import Tenants

extension JobState: ExpressibleByArgument {}
extension JobKind: ExpressibleByArgument {}
extension ReportType: ExpressibleByArgument {}
extension OnBusy: ExpressibleByArgument {}
extension ReportFormat: ExpressibleByArgument {}
extension ReportFrequency: ExpressibleByArgument {}
extension Weekday: ExpressibleByArgument {}
extension WatchlistKind: ExpressibleByArgument {}
extension ScheduleKind: ExpressibleByArgument {}
extension Schedule.Misfire: ExpressibleByArgument {}
extension Schedule.Overlap: ExpressibleByArgument {}
extension LogFormat: ExpressibleByArgument {}
