package widgets

import (
	"context"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/crm/mapping"
	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/widgets/api"
	"github.com/gin-gonic/gin"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// bad is a request that cannot be understood.
type bad struct{ code, detail string }

func (e *bad) Error() string { return "widgets: " + e.code + ": " + e.detail }

// answerTable turns errors into answers; the first that fits counts. A missing code is taken from the error.
var answerTable = []struct {
	is     error
	status int
	code   string
	detail string
}{
	{errSession, 401, "unauthorized", "The key or session is missing, wrong or expired. Open the page again, or make a new key in the settings."},
	{crm.ErrForged, 401, "opening_not_confirmed", "The CRM did not confirm who opened this page. Open it from the CRM again."},
	{payments.ErrRole, 403, "role", "Your role may not do this. Ask an administrator."},
	{payments.ErrNotFound, 404, "not_found", "It is not there, or not yours."},
	{pgx.ErrNoRows, 404, "not_found", "It is not there, or not yours."},
	{payments.ErrLocked, 409, "locked", "The link was already sent, so its terms cannot change. Cancel it and create another."},
	{payments.ErrExpired, 409, "expired", "The link has expired. Make a new one."},
	{payments.ErrNotPayable, 409, "not_payable", "Nothing can be paid by this link now, so it is not sent. Look at the invoice's status."},
	{payments.ErrState, 409, "state", "This is not possible in its present state. Look at what became of it meanwhile."},
	{payments.ErrBeingChecked, 409, "being_checked", "A payment is being confirmed by the bank."},
	{errMediaType, 415, "media_type", "The body must be JSON, and be sent with Content-Type: application/json."},
	{tenants.ErrOtherBody, 422, "idempotency_key_reused", "This Idempotency-Key was used for another request. Use a new one."},
	{payments.ErrNoAcquirer, 422, "no_acquirer", "No connected acquirer takes this amount in this currency. Connect one in the settings."},
	{payments.ErrCredentials, 422, "credentials", "The acquirer does not accept these credentials. Check them and try again."},
	{payments.ErrRefused, 422, "acquirer_refused", "The acquirer refused."},
	{payments.ErrUnavailable, 503, "acquirer_unavailable", "The acquirer cannot be reached. Try again in a minute."},
}

// fail answers with a problem; people see safe text, the log sees the cause.
func (s *Service) fail(c *gin.Context, err error) {
	status, code, detail, retry := classify(err)
	if status >= 500 && c.Request.Context().Err() == nil { // who left meanwhile is nobody's failure
		s.Log.ErrorContext(c.Request.Context(), "request failed", "path", c.FullPath(), "status", status, "err", err)
	}
	if retry > 0 {
		c.Header("Retry-After", strconv.Itoa(int(math.Ceil(retry.Seconds()))))
	}
	Problem(c, status, code, detail)
}

// Problem answers with application/problem+json and ends the request.
func Problem(c *gin.Context, status int, code, detail string) {
	c.Header("Content-Type", "application/problem+json")
	c.AbortWithStatusJSON(status, api.Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail,
		Code: code, RequestId: tenants.RequestOf(c.Request.Context())})
}

// lines are why a line of a mapping cannot be kept.
var lines = map[string]string{
	"pipeline_unknown": "the CRM has no such pipeline.",
	"stage_unknown":    "the pipeline has no such stage.",
	"status_unknown":   "there is no such status.",
	"won_unpaid":       "a status under which no money came cannot win a deal.",
	"value_unknown":    "there is no such value.",
	"field_unknown":    "the CRM has no such field of deals, or it is not the customer's own.",
	"field_unfitting":  "the field cannot hold this value. GET /fields says what fits.",
	"field_taken":      "two values of a pipeline cannot go to the same field.",
}

func classify(err error) (status int, code, detail string, retry time.Duration) {
	var understood *payments.Invalid
	var unreadable *bad
	var line *mapping.Refusal
	var remote *crm.Error
	switch {
	case errors.As(err, &unreadable):
		return 400, unreadable.code, unreadable.detail, 0
	case errors.As(err, &understood):
		return 422, understood.Code, understood.Detail, 0
	case errors.As(err, &line):
		return 422, line.Code, "The mapping cannot be kept: " + lines[line.Code], 0
	case errors.As(err, &remote):
		return classifyCRM(remote)
	}
	for _, row := range answerTable {
		if errors.Is(err, row.is) {
			if row.status == 503 {
				retry = 10 * time.Second
			}
			return row.status, row.code, row.detail, retry
		}
	}
	if storeAway(err) {
		return 503, "store_away", "The service cannot reach its database. Try again in a moment.", 5 * time.Second
	}
	return 500, "internal", "Something failed on our side. Try again; if it stays, give support the request id.", 0
}

// storeAway says whether the database could not be reached, or went away while it was asked.
func storeAway(err error) bool {
	var connect *pgconn.ConnectError
	var network *net.OpError
	var said *pgconn.PgError
	switch {
	case errors.As(err, &connect), errors.As(err, &network), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return true
	case errors.As(err, &said): // connection exceptions, too many connections, shutting down or starting
		return strings.HasPrefix(said.Code, "08") || said.Code == "53300" || strings.HasPrefix(said.Code, "57P0")
	}
	return pgconn.Timeout(err) || errors.Is(err, context.DeadlineExceeded) || pgconn.SafeToRetry(err)
}

func classifyCRM(e *crm.Error) (status int, code, detail string, retry time.Duration) {
	switch e.Class {
	case crm.Throttled:
		return 429, "crm_busy", "The CRM asks us to slow down. Try again in a moment.", max(e.RetryAfter, time.Second)
	case crm.Gone:
		return 404, "deal_not_found", "The CRM has no such deal.", 0
	case crm.Revoked:
		return 409, "not_connected", "The CRM does not accept our access any more. An administrator must connect it again.", 0
	case crm.Refused:
		return 404, "deal_not_found", "The CRM has no such deal, or does not show it.", 0
	}
	return 503, "crm_unavailable", "The CRM cannot be reached. Try again in a moment.", 5 * time.Second
}
