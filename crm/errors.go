package crm

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrForged is returned by a Guard that could not confirm who is asking.
var ErrForged = errors.New("crm: opening not confirmed")

// Class says what a failed call means for the work behind it.
type Class int

// The classes. The zero value is Transient, so that an unknown failure is tried again.
const (
	Transient Class = iota // try again with back-off
	Throttled              // try again after RetryAfter; not a failure
	Revoked                // access is gone: keep the work, tell the administrator
	Gone                   // the deal was deleted or merged
	Refused                // permanent: this request will never succeed
)

func (c Class) String() string {
	return [...]string{"transient", "throttled", "revoked", "gone", "refused"}[c]
}

// Error is a classified failure of a CRM call.
type Error struct {
	Class      Class
	Op         string        // API method or path
	Code       string        // the CRM's own code, for logs
	RetryAfter time.Duration // with Throttled: how long the CRM asked us to wait; 0 if it did not say
	Method     string        // with Throttled: the one API method that has to wait; what needs others may go
	// Ambiguous says that the CRM may have done the work: a time-out or a cut connection
	// after the request was sent.
	Ambiguous  bool
	Blocked    bool // the CRM shut the account or our address out; an administrator should know
	Unprepared bool // what Setup makes is missing: it has to run (again) before this can succeed
	Err        error
}

func (e *Error) Error() string {
	return fmt.Sprintf("crm: %s: %s %s: %v", e.Op, e.Class, e.Code, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// ClassOf returns the class of err; an error that is no *Error is Transient.
func ClassOf(err error) Class {
	var e *Error
	if errors.As(err, &e) {
		return e.Class
	}
	return Transient
}

// Priority orders work at the limiter.
type Priority int

// The priorities. The lower ones leave head-room for the higher.
const (
	Housekeeping Priority = iota
	Sync                  // payment status; the default
	Person                // somebody is looking at a card
)

type priorityKey struct{}

// WithPriority marks the calls made with ctx.
func WithPriority(ctx context.Context, p Priority) context.Context {
	return context.WithValue(ctx, priorityKey{}, p)
}

// PriorityOf returns the priority of ctx, Sync when unmarked.
func PriorityOf(ctx context.Context) Priority {
	if p, ok := ctx.Value(priorityKey{}).(Priority); ok {
		return p
	}
	return Sync
}

// Pacer keeps an account's requests within the CRM's limits. Adapters call Wait before and
// Seen after every HTTP request.
type Pacer interface {
	// Wait returns when one request may be sent. method is the API method or path; with a
	// batch, methods names each command once. It returns an *Error of Class Throttled when
	// the wait would be longer than the caller's context or patience allows; and at once, with
	// Method set, when one of the methods has used up its execution time.
	Wait(ctx context.Context, methods ...string) error
	// Seen tells what the CRM said about its limits.
	Seen(ctx context.Context, p Pressure)
}

// Pressure is what a CRM's answer says about its limits.
type Pressure struct {
	Throttled  bool          // 429 or 503: nothing was executed
	Blocked    bool          // the account or our address is shut out: amoCRM's HTML 403, Bitrix24's OVERLOAD_LIMIT
	RetryAfter time.Duration // 0 when the CRM did not say
	// Operating is Bitrix24's accumulated execution time by method; OperatingResetAt when
	// its oldest part is forgiven.
	Operating        map[string]time.Duration
	OperatingResetAt map[string]time.Time
}

// NoPacer lets every request pass; for tests and one-off tools.
type NoPacer struct{}

// Wait returns at once.
func (NoPacer) Wait(context.Context, ...string) error { return nil }

// Seen ignores what it is told.
func (NoPacer) Seen(context.Context, Pressure) {}
