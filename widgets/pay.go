package widgets

import (
	"errors"
	"net/http"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/widgets/paypage"
	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
)

// link turns the token of the path into a visit. Error: tenants.ErrNoDoor for a token that leads nowhere.
func (s *Service) link(c *gin.Context) (payments.Visit, error) {
	token := c.Param("token")
	if len(token) < 20 || len(token) > 100 {
		return payments.Visit{}, tenants.ErrNoDoor
	}
	id, ref, err := s.DB.Enter(c.Request.Context(), tenants.LinkDoor, token)
	if err != nil {
		return payments.Visit{}, err
	}
	invoice, err := uuid.Parse(ref)
	if err != nil {
		return payments.Visit{}, err
	}
	return s.Payments.VisitOf(c.Request.Context(), id, invoice)
}

// PayPage answers GET /p/{token}.
func (s *Service) PayPage(c *gin.Context) {
	v, err := s.link(c)
	s.showPage(c, v, "", err)
}

// showPage renders the visit, or why it cannot be shown.
func (s *Service) showPage(c *gin.Context, v payments.Visit, shown paypage.State, err error) {
	page := paypage.Page{Lang: paypage.Pick(c.GetHeader("Accept-Language"), langOf(c)), Token: c.Param("token"), State: shown}
	switch {
	case errors.Is(err, tenants.ErrNoDoor), errors.Is(err, payments.ErrNotFound):
		page.State = paypage.Unknown
	case err != nil:
		s.Log.ErrorContext(c.Request.Context(), "pay page", "err", err)
		page.State = paypage.Trouble
	default:
		s.fill(&page, v)
		if shown != "" {
			page.State = shown
		}
	}
	s.writePage(c, page)
}

func langOf(c *gin.Context) string {
	if lang := c.PostForm("lang"); lang != "" {
		return lang
	}
	return c.Query("lang")
}

func (s *Service) writePage(c *gin.Context, page paypage.Page) {
	c.Header("Content-Type", "text/html; charset=utf-8")
	c.Header("Content-Security-Policy", page.Policy())
	c.Header("Cache-Control", "no-store")
	if page.Code() == http.StatusServiceUnavailable {
		c.Header("Retry-After", "30")
	}
	c.Status(page.Code())
	if err := paypage.Render(c.Writer, page); err != nil {
		s.Log.ErrorContext(c.Request.Context(), "render pay page", "err", err)
	}
}

func (s *Service) fill(page *paypage.Page, v payments.Visit) {
	in := v.Invoice
	page.Merchant, page.Accent, page.Test = merchant(v.Tenant), v.Tenant.Settings.Accent, v.Test
	page.State, page.Purpose, page.Until = shownState(v, s.Now()), in.Purpose, in.ExpiresAt
	page.Amount = payments.Money{Minor: in.Outstanding, Currency: in.Currency}
	if in.Outstanding == 0 {
		page.Amount = in.Amount()
	}
	page.Paid, page.Total = payments.Money{Minor: in.Paid, Currency: in.Currency}, in.Amount()
	if in.Rate != "" {
		page.Claim, page.Rate = in.Claim(), in.Rate
	}
	if in.DueAt != nil {
		page.Due = *in.DueAt
	}
	if zone, err := time.LoadLocation(v.Tenant.Settings.TimeZone); err == nil {
		page.Zone = zone
	}
	for _, key := range v.Methods {
		page.Methods = append(page.Methods, paypage.Method{Key: key, Name: s.Payments.Providers[key].Describe().Name})
	}
	switch page.State {
	case paypage.Open, paypage.Failed, paypage.PartPaid:
		if len(page.Methods) == 0 {
			page.State = paypage.Closed
		}
	case paypage.Paid, paypage.AlreadyPaid, paypage.Refunded:
		if in.PaidAt != nil {
			page.Receipt = &paypage.Receipt{Number: in.Number, Amount: page.Paid, Refunded: payments.Money{Minor: in.Refunded, Currency: in.Currency},
				PaidAt: *in.PaidAt, Reference: in.Reference, Merchant: page.Merchant}
		}
	}
}

// fresh is how long after a payment its page still speaks to the person who just paid.
const fresh = 30 * time.Minute

// shownState is what the page says of the invoice.
func shownState(v payments.Visit, now time.Time) paypage.State {
	in := v.Invoice
	switch in.Status {
	case state.Paid:
		if in.PaidAt != nil && now.Sub(*in.PaidAt) < fresh {
			return paypage.Paid
		}
		return paypage.AlreadyPaid
	case state.Refunded:
		return paypage.Refunded
	case state.PartiallyRefunded, state.Disputed:
		return paypage.AlreadyPaid
	case state.ManualReview:
		return paypage.Review
	case state.Cancelled:
		if v.Replaced {
			return paypage.Replaced
		}
		return paypage.Cancelled
	case state.Expired:
		return paypage.Expired
	}
	switch {
	case v.Checking:
		return paypage.Checking
	case v.Over:
		return paypage.Expired
	case in.Status == state.PaymentFailed:
		return paypage.Failed
	case in.Paid > 0:
		return paypage.PartPaid
	}
	return paypage.Open
}

// Pay answers POST /p/{token}/pay: it sends the customer to the acquirer's page.
func (s *Service) Pay(c *gin.Context) {
	c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, maxRequest)
	v, err := s.link(c)
	if err != nil {
		s.showPage(c, v, "", err)
		return
	}
	lang := paypage.Pick(c.GetHeader("Accept-Language"), langOf(c))
	checkout, err := s.Payments.Pay(c.Request.Context(), v.Tenant.ID, v.Invoice.ID, c.Param("token"), c.PostForm("method"), lang)
	switch {
	case err == nil && checkout.Form != nil:
		page := paypage.Page{Lang: lang, Token: c.Param("token"), State: paypage.Leaving, Method: c.PostForm("method"),
			Forward: &paypage.Forward{URL: checkout.URL, Fields: checkout.Form}}
		s.fill(&page, v)
		page.State = paypage.Leaving
		s.writePage(c, page)
	case err == nil:
		c.Header("Cache-Control", "no-store")
		c.Redirect(http.StatusSeeOther, checkout.URL)
	case errors.Is(err, payments.ErrExpired), errors.Is(err, payments.ErrState), errors.Is(err, payments.ErrBeingChecked):
		c.Redirect(http.StatusSeeOther, "/p/"+c.Param("token"))
	default:
		s.Log.WarnContext(c.Request.Context(), "payment not started", "tenant", v.Tenant.ID, "invoice", v.Invoice.ID, "err", err)
		s.showPage(c, v, paypage.Trouble, nil)
	}
}

// PayBack answers /p/{token}/back: where acquirers send customers back to. Coming back proves nothing.
func (s *Service) PayBack(c *gin.Context) {
	v, err := s.link(c)
	if err == nil {
		err = s.Payments.Returned(c.Request.Context(), v.Tenant.ID, v.Invoice.ID)
	}
	if err != nil {
		s.showPage(c, v, "", err)
		return
	}
	s.Payments.Glance(c.Request.Context(), v)
	c.Header("Cache-Control", "no-store")
	c.Redirect(http.StatusSeeOther, "/p/"+c.Param("token"))
}

// PayStatus answers GET /p/{token}/status: what the page asks while it waits.
func (s *Service) PayStatus(c *gin.Context) {
	v, err := s.link(c)
	if err == nil && v.Checking {
		s.Payments.Glance(c.Request.Context(), v)
		v, err = s.link(c)
	}
	if errors.Is(err, tenants.ErrNoDoor) {
		err = payments.ErrNotFound
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	c.Header("Cache-Control", "no-store")
	c.JSON(http.StatusOK, gin.H{"state": shownState(v, s.Now()), "status": v.Invoice.Status})
}
