package bitrix24

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/dealpay/dealpay/crm"
)

// codes is the one table from Bitrix24's error codes (vendor documentation "Error codes", "Limits", pages of the
// methods used) to what they mean for the work. Codes compare in upper case: the documentation mixes cases.
var codes = map[string]crm.Class{
	"QUERY_LIMIT_EXCEEDED": crm.Throttled,
	"OPERATION_TIME_LIMIT": crm.Throttled,
	"OVERLOAD_LIMIT":       crm.Throttled, // a block by hand: see longBlock

	"EXPIRED_TOKEN":         crm.Revoked, // after one refresh
	"INVALID_TOKEN":         crm.Revoked,
	"NO_AUTH_FOUND":         crm.Revoked,
	"INVALID_GRANT":         crm.Revoked,
	"INVALID_CLIENT":        crm.Revoked,
	"WRONG_CLIENT":          crm.Revoked,
	"ERROR_OAUTH":           crm.Revoked,
	"AUTHORIZATION_ERROR":   crm.Revoked,
	"APPLICATION_NOT_FOUND": crm.Revoked,
	"NOT_INSTALLED":         crm.Revoked,
	"PAYMENT_REQUIRED":      crm.Revoked,
	"PORTAL_DELETED":        crm.Revoked,
	"USER_ACCESS_ERROR":     crm.Revoked, // the portal's admin took the app from the user whose token we hold

	"NOT_FOUND":       crm.Gone,
	"OWNER_NOT_FOUND": crm.Gone,

	"INTERNAL_SERVER_ERROR":   crm.Transient,
	"ERROR_UNEXPECTED_ANSWER": crm.Transient,
	"BX_MOVED":                crm.Transient,

	"ACCESS_DENIED":              crm.Refused, // but see freePlan
	"INVALID_CREDENTIALS":        crm.Refused,
	"INSUFFICIENT_SCOPE":         crm.Refused,
	"ALLOWED_ONLY_INTRANET_USER": crm.Refused,
	"WRONG_AUTH_TYPE":            crm.Refused,
	"INVALID_REQUEST":            crm.Refused,
	"ERROR_METHOD_NOT_FOUND":     crm.Refused,
}

// Words that decide where a code does not. A portal on a free plan answers as if a right were missing, and old CRM
// methods answer with an empty or numeric code.
const (
	freePlan = "only on commercial plans"
	notFound = "not found"
)

const (
	longBlock  = time.Hour // after OVERLOAD_LIMIT, which support has to lift
	leastReset = 10 * time.Second
	mostReset  = 10 * time.Minute // the operating time is counted over ten minutes
)

// classify turns an error answer into an Error. status is 0 for a command of a batch, whose answer has none.
func classify(op string, status int, code, description string) *crm.Error {
	e := &crm.Error{Class: crm.Refused, Op: op, Code: code, Err: errors.New(clip(description))}
	upper := strings.ToUpper(code)
	class, known := codes[upper]
	switch {
	case known:
		e.Class = class
	case status == http.StatusTooManyRequests:
		e.Class = crm.Throttled
	case status == http.StatusUnauthorized:
		e.Class = crm.Revoked
	case status >= 500:
		e.Class = crm.Transient
	}
	switch lower := strings.ToLower(description); {
	case e.Class == crm.Refused && strings.Contains(lower, freePlan):
		e.Class = crm.Revoked
	case e.Class == crm.Refused && codeless(upper) && strings.Contains(lower, notFound):
		e.Class = crm.Gone
	}
	if upper == "OVERLOAD_LIMIT" {
		e.RetryAfter, e.Blocked = longBlock, true
	}
	// A server in trouble may have done the work before it failed.
	e.Ambiguous = e.Class == crm.Transient
	return e
}

// codeless says that a code tells nothing: it is empty, a number, or the one for everything.
func codeless(code string) bool {
	return strings.Trim(code, "0123456789") == "" || code == "ERROR_CORE"
}

// clip bounds what goes into logs.
func clip(s string) string {
	if len(s) > 300 {
		s = s[:300]
	}
	return strings.ToValidUTF8(s, "")
}

// stale says that a newer token may help. NO_AUTH_FOUND and invalid_token are tried as well: a portal that was
// moved or restored answers so to a token that the authorization server still renews.
func stale(e *crm.Error) bool {
	switch strings.ToUpper(e.Code) {
	case "EXPIRED_TOKEN", "INVALID_TOKEN", "NO_AUTH_FOUND":
		return true
	}
	return false
}

// wrap makes an Error of whatever a Tokens or a Pacer returned.
func wrap(op string, err error) *crm.Error {
	var e *crm.Error
	if errors.As(err, &e) {
		return e
	}
	return &crm.Error{Class: crm.Transient, Op: op, Err: err}
}

// unsent is e for work that was never sent: nothing about it is ambiguous.
func unsent(e *crm.Error) *crm.Error {
	c := *e
	c.Ambiguous = false
	return &c
}
