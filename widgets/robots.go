package widgets

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/oauth"
	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
	"github.com/dealpay/dealpay/widgets/api"
	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
)

// Bitrix24Robot answers POST /bitrix24/robots/{code}: a rule of the portal's automation came to work on a deal. The call
// is kept and promised an answer; the portal waits for that, not for this request.
func (s *Service) Bitrix24Robot(c *gin.Context) {
	ctx := c.Request.Context()
	call, tenant, err := s.CRM.Robot(ctx, c.Request)
	switch {
	case errors.Is(err, oauth.ErrNoRobot), err == nil && call.Code != c.Param("code"):
		Problem(c, http.StatusBadRequest, "bad_robot", "This is no automation rule that we know.")
		return
	case errors.Is(err, crm.ErrForged):
		Problem(c, http.StatusForbidden, "forged", "This automation rule is not confirmed.")
		return
	case err == nil:
		err = s.DB.In(ctx, tenant.ID, func(ctx context.Context, tx *tenants.Tx) error { return keepRobot(ctx, tx, call, s.Now()) })
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, gin.H{"ok": true})
}

// wish is what a rule asks, as it is sealed.
type wish struct {
	Token      string            `json:"token"`
	Properties map[string]string `json:"properties"`
}

const wishPurpose = "robot call"

func keepRobot(ctx context.Context, tx *tenants.Tx, call crm.RobotCall, now time.Time) error {
	raw, err := json.Marshal(wish{call.Token, call.Properties})
	if err != nil {
		return err
	}
	sealed, err := tx.Seal(wishPurpose, raw)
	if err != nil {
		return err
	}
	hash := sha256.Sum256([]byte(call.Token))
	if _, err := tx.Exec(ctx, `INSERT INTO robot_calls (tenant_id, id, token_hash, code, deal_id, asked, asked_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (tenant_id, token_hash) DO NOTHING`, tx.Tenant().String(), tenants.NewUUID(), hash[:], call.Code, call.DealID, sealed, now); err != nil {
		return err
	}
	return outbox.Make(ctx, tx, outbox.Robot, call.DealID, now)
}

// robotCall is a rule that waits.
type robotCall struct {
	ID          uuid.UUID  `db:"id"`
	Code        string     `db:"code"`
	Deal        string     `db:"deal_id"`
	Asked       []byte     `db:"asked"`
	AskedAt     time.Time  `db:"asked_at"`
	ConfirmedAt *time.Time `db:"confirmed_at"`
	wish        wish
}

const (
	// lookAgain is when a rule that waits for a payment is looked at without news: every change of the deal stirs its
	// promise anyway.
	lookAgain = 7 * 24 * time.Hour
	// longestWait is how long a rule may wait for a payment.
	longestWait = 90 * 24 * time.Hour
	mostRobots  = 50 // of one deal at once
)

// AnswerRobots answers the rules that wait for a deal, as far as there is an answer, and says when to look again; never,
// when none is left.
func (s *Service) AnswerRobots(ctx context.Context, id tenants.ID, deal string) (time.Time, error) {
	waiting, err := s.waitingRobots(ctx, id, deal)
	if err != nil || len(waiting) == 0 {
		return time.Time{}, err
	}
	account, _, err := s.CRM.Account(ctx, id)
	if err != nil {
		return time.Time{}, err
	}
	answerer, ok := account.(crm.RobotAnswerer)
	if !ok {
		return time.Time{}, errors.New("widgets: this CRM's automation cannot be answered")
	}
	var again time.Time
	var failures []error
	for _, call := range waiting {
		answered, err := s.answerRobot(ctx, id, answerer, call)
		if err != nil {
			failures = append(failures, err)
		} else if !answered {
			again = s.Now().Add(lookAgain)
		}
	}
	if len(waiting) == mostRobots {
		again = s.Now()
	}
	return again, errors.Join(failures...)
}

func (s *Service) waitingRobots(ctx context.Context, id tenants.ID, deal string) (waiting []robotCall, err error) {
	err = s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		waiting, err = tenants.Rows[robotCall](ctx, tx, `SELECT id, code, deal_id, asked, asked_at, confirmed_at FROM robot_calls
			WHERE deal_id = $1 AND answered_at IS NULL ORDER BY id LIMIT $2`, deal, mostRobots)
		for i := range waiting {
			raw, failed := tx.Open(wishPurpose, waiting[i].Asked)
			err = errors.Join(err, failed)
			if failed == nil {
				err = errors.Join(err, json.Unmarshal(raw, &waiting[i].wish))
			}
		}
		return err
	})
	return waiting, err
}

// answerRobot answers one rule, once the CRM knows it and there is something to say. A rule that the CRM does not know is
// forged, or was answered before: either way nothing is done for it.
func (s *Service) answerRobot(ctx context.Context, id tenants.ID, at crm.RobotAnswerer, call robotCall) (bool, error) {
	if call.ConfirmedAt == nil {
		err := at.LogRobot(ctx, call.wish.Token, "Dealpay: "+call.Code)
		if err != nil && crm.ClassOf(err) == crm.Refused {
			return true, s.closeRobot(ctx, id, call, "unknown")
		}
		if err == nil {
			err = s.noteRobot(ctx, id, `UPDATE robot_calls SET confirmed_at = $2 WHERE id = $1`, call.ID, s.Now())
		}
		if err != nil {
			return false, err
		}
	}
	values, line, err := s.sayTo(ctx, id, call)
	if err != nil || values == nil {
		return false, err
	}
	err = at.AnswerRobot(ctx, call.wish.Token, values, line)
	if err != nil && crm.ClassOf(err) != crm.Refused { // refused: an earlier answer arrived after all
		return false, err
	}
	return true, s.closeRobot(ctx, id, call, values["status"])
}

func (s *Service) closeRobot(ctx context.Context, id tenants.ID, call robotCall, outcome string) error {
	return s.noteRobot(ctx, id, `UPDATE robot_calls SET answered_at = $2, outcome = $3 WHERE id = $1 AND answered_at IS NULL`, call.ID, s.Now(), outcome)
}

func (s *Service) noteRobot(ctx context.Context, id tenants.ID, sql string, args ...any) error {
	return s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		_, err := tx.Exec(ctx, sql, args...)
		return err
	})
}

// sayTo is what a rule is answered, with a line for the scheme's log; nil while it has to wait.
func (s *Service) sayTo(ctx context.Context, id tenants.ID, call robotCall) (map[string]string, string, error) {
	if call.Code == crm.RobotWait {
		return s.paidYet(ctx, id, call)
	}
	made, err := s.linkFor(ctx, id, call)
	if err == nil {
		return made, made["number"] + " " + made["amount"] + " " + made["link"], nil
	}
	status, code, detail, _ := classify(err)
	if status >= 500 || status == http.StatusTooManyRequests || code == "not_connected" {
		return nil, "", err
	}
	return map[string]string{"status": "failed", "error": detail}, detail, nil
}

// linkFor makes the link that a rule asks for, once, as the card would; what the rule leaves open comes from the deal.
func (s *Service) linkFor(ctx context.Context, id tenants.ID, call robotCall) (map[string]string, error) {
	w := caller{tenant: id, by: payments.By{Actor: tenants.CRM, Role: tenants.Manager}, deal: call.Deal}
	key, asked := "robot "+call.ID.String(), []byte(call.ID.String())
	made, seen, err := s.Payments.Made(ctx, id, key, asked)
	if err == nil && !seen {
		var request payments.NewInvoice
		if request, err = s.wanted(ctx, w, call); err == nil {
			request.Key, request.Request = key, asked
			made, err = s.Payments.Create(ctx, id, w.by, request)
		}
	}
	if err == nil && made.LockedAt == nil { // the scheme gives it to the customer
		made, err = s.Payments.Send(ctx, id, w.by, made.ID, payments.Sending{Channel: "crm"})
	}
	if err != nil {
		return nil, err
	}
	var url string
	err = s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		url, err = s.Payments.URL(ctx, tx, made.ID)
		return err
	})
	return map[string]string{"link": url, "number": made.Number, "amount": made.Amount().String(), "status": string(made.Status)}, err
}

// wanted is the invoice that a rule asks for.
func (s *Service) wanted(ctx context.Context, w caller, call robotCall) (payments.NewInvoice, error) {
	in := api.NewInvoice{DealId: call.Deal}
	asks := call.wish.Properties
	if amount := strings.ReplaceAll(asks["amount"], ",", "."); amount != "" {
		deal, _, err := s.crmDeal(ctx, w, call.Deal)
		if err != nil {
			return payments.NewInvoice{}, err
		}
		money, err := state.Parse(amount, deal.Amount.Currency)
		if err != nil {
			return payments.NewInvoice{}, &payments.Invalid{Code: "amount_unusable", Detail: "The rule's amount is no amount in the deal's currency."}
		}
		in.Amount = &money
	}
	if asks["purpose"] != "" {
		purpose := asks["purpose"]
		in.Purpose = &purpose
	}
	if asks["days"] != "" {
		days, err := strconv.Atoi(asks["days"])
		if err != nil || days < 1 || days > 366 {
			return payments.NewInvoice{}, &payments.Invalid{Code: "days_unusable", Detail: "A link is valid for 1 to 366 days."}
		}
		ends := s.Now().Add(time.Duration(days)*24*time.Hour - time.Minute).UTC().Truncate(time.Second)
		in.ExpiresAt = &ends
	}
	return s.complete(ctx, w, in)
}

// settled are the statuses of a deal for which a rule that waits for payment goes on. What is pending, authorized or
// under review is none of them.
var settled = []state.Status{state.Paid, state.PartiallyRefunded, state.Refunded, state.Expired, state.Cancelled}

// paidYet says how the deal's payment ended, or nothing while it has not.
func (s *Service) paidYet(ctx context.Context, id tenants.ID, call robotCall) (map[string]string, string, error) {
	var deal payments.Deal
	err := s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) (err error) {
		deal, err = s.Payments.DealOf(ctx, tx, call.Deal)
		return err
	})
	b := deal.Balance
	if err != nil || !slices.Contains(settled, b.Status) && s.Now().Before(call.AskedAt.Add(longestWait)) {
		return nil, "", err
	}
	paid := deal.Money(b.Paid).String()
	return map[string]string{"status": string(b.Status), "paid": paid, "reference": deal.Reference}, string(b.Status) + " " + paid, nil
}
