package state

// AttemptStatus is what is known of one attempt to pay.
type AttemptStatus string

// The statuses of an attempt. Failed, expired and cancelled are soft ends: money may still come.
const (
	Created          AttemptStatus = "created"
	Pending          AttemptStatus = "pending"
	Authorized       AttemptStatus = "authorized"
	AttemptExpired   AttemptStatus = "expired"
	AttemptCancelled AttemptStatus = "cancelled"
	AttemptFailed    AttemptStatus = "failed"
	AttemptPaid      AttemptStatus = "paid"
)

// AttemptStatuses lists them from the weakest to the strongest.
var AttemptStatuses = []AttemptStatus{Created, Pending, Authorized, AttemptExpired, AttemptCancelled, AttemptFailed, AttemptPaid}

// attemptTable says what an attempt in the row's status becomes when the column's is observed, in the order of
// AttemptStatuses. It is a join: it gives the same end in any order and ignores repetition.
var attemptTable = map[AttemptStatus][7]AttemptStatus{
	//                created           pending           authorized        expired           cancelled         failed         paid
	Created:          {Created, Pending, Authorized, AttemptExpired, AttemptCancelled, AttemptFailed, AttemptPaid},
	Pending:          {Pending, Pending, Authorized, AttemptExpired, AttemptCancelled, AttemptFailed, AttemptPaid},
	Authorized:       {Authorized, Authorized, Authorized, AttemptExpired, AttemptCancelled, AttemptFailed, AttemptPaid},
	AttemptExpired:   {AttemptExpired, AttemptExpired, AttemptExpired, AttemptExpired, AttemptCancelled, AttemptFailed, AttemptPaid},
	AttemptCancelled: {AttemptCancelled, AttemptCancelled, AttemptCancelled, AttemptCancelled, AttemptCancelled, AttemptFailed, AttemptPaid},
	AttemptFailed:    {AttemptFailed, AttemptFailed, AttemptFailed, AttemptFailed, AttemptFailed, AttemptFailed, AttemptPaid},
	AttemptPaid:      {AttemptPaid, AttemptPaid, AttemptPaid, AttemptPaid, AttemptPaid, AttemptPaid, AttemptPaid},
}

// Join returns what an attempt in status s is after next was observed. An unknown status changes nothing.
func (s AttemptStatus) Join(next AttemptStatus) AttemptStatus {
	for i, column := range AttemptStatuses {
		if column == next {
			if row, ok := attemptTable[s]; ok {
				return row[i]
			}
			return next
		}
	}
	return s
}

// Live says whether the customer may still be paying.
func (s AttemptStatus) Live() bool { return s == Created || s == Pending || s == Authorized }
