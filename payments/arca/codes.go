package arca

import "github.com/dealpay/dealpay/payments/state"

// success is the errorCode of a call that was carried out; some gateways leave it out then.
const success = "0"

// statuses are the order statuses of the manual; all others prove nothing. 1 is a hold and 5 the card holder's
// authentication: neither is money. 4 is a refund, also of a part.
var statuses = map[string]state.AttemptStatus{
	"0": state.Pending, "1": state.Authorized, "2": state.AttemptPaid, "3": state.AttemptCancelled,
	"4": state.AttemptPaid, authenticating: state.Pending, "6": state.AttemptFailed,
}

const authenticating = "5"

// class is what an action code means for a declined order.
type class string

// The classes. Only two change what "declined" says: time is over, and nobody knows.
const (
	approved    class = "approved"
	waiting     class = "in_progress"
	untried     class = "not_attempted"
	expired     class = "expired"
	customer    class = "customer_decline"
	issuer      class = "issuer_decline"
	limit       class = "limit_decline"
	fraud       class = "fraud_decline"
	unproven    class = "auth_failed"
	left        class = "customer_cancel"
	exhausted   class = "attempts_exhausted"
	technical   class = "technical"
	unsettled   class = "technical_after_send" // processing was asked and did not answer: the card may have been charged
	setup       class = "merchant_config"
	invalid     class = "invalid_request"
	duplicate   class = "duplicate_order"
	notRefunded class = "refund_failed"
	overloaded  class = "overloaded_decline_or_refund"
)

// actions are the action codes of the manual's annex 1.
var actions = map[string]class{
	"0": approved, "-9000": waiting, "-100": untried, "1001": untried, "-2007": expired,
	"101": customer, "111": customer, "116": customer, "71015": customer,
	"1": issuer, "5": issuer, "100": issuer, "103": issuer, "104": issuer, "107": issuer, "120": issuer, "902": issuer,
	"-20010": limit, "-2002": limit, "121": limit, "123": limit, "209": limit, "903": limit,
	"-2001": fraud, "-2000": fraud, "208": fraud, "999": fraud, "2001": fraud,
	"-2021": unproven, "-2019": unproven, "-2016": unproven, "-2015": unproven, "-2011": unproven, "-2009": unproven,
	"-2006": unproven, "-2005": unproven, "-2004": unproven, "2005": unproven,
	"-2014": left, "-2013": exhausted,
	"-2018": technical, "-1": technical, "904": technical, "907": technical, "909": technical, "910": technical, "913": technical,
	"9001": technical, "151017": technical, "151018": technical, "341014": technical, "151019": unsettled,
	"-2012": setup, "109": setup, "2003": setup, "2004": setup, "110": invalid, "8204": duplicate,
	"914": notRefunded, "341041": notRefunded, "125": overloaded,
}
