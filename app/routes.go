package main

import (
	"io/fs"
	"net/http"
	"regexp"
	"strings"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/frontend"
	"github.com/dealpay/dealpay/payments/hooks"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/widgets"
	"github.com/gin-gonic/gin"
	"github.com/klauspost/compress/gzhttp"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// handler answers everything.
func (h *house) handler() http.Handler { return identify(h.routes()) }

// routes is the one table of everything this program answers, with the gate each route needs.
func (h *house) routes() *gin.Engine {
	r := gin.New()
	r.HandleMethodNotAllowed = true
	r.Use(h.recover, h.observe)
	r.NoRoute(func(c *gin.Context) {
		widgets.Problem(c, http.StatusNotFound, "not_found", "There is nothing at this address.")
	})
	r.NoMethod(func(c *gin.Context) {
		widgets.Problem(c, http.StatusMethodNotAllowed, "method_not_allowed", "This address does not take this method.")
	})
	w, o := h.widgets, h.oauth

	// operators
	r.GET("/livez", func(c *gin.Context) { c.String(http.StatusOK, "ok\n") })
	r.GET("/readyz", h.ready)
	r.GET("/metrics", gin.WrapH(promhttp.Handler()))

	// Bitrix24: its openings and events prove themselves
	r.POST("/bitrix24/install", o.Bitrix24Install)
	r.POST("/bitrix24/events", o.Bitrix24Events)
	r.POST("/bitrix24/app", w.Bitrix24App)
	r.POST("/bitrix24/card", w.Bitrix24Card)
	r.POST("/bitrix24/session", w.Bitrix24Session)
	r.POST("/bitrix24/robots/:code", w.Bitrix24Robot)
	for _, page := range []string{"install", "app", "card"} { // the marketplace looks whether its addresses are there
		r.HEAD("/bitrix24/"+page, func(c *gin.Context) { c.Status(http.StatusOK) })
	}

	// amoCRM and Kommo
	for _, system := range []crm.System{crm.AmoCRM, crm.Kommo} {
		g := r.Group("/" + string(system))
		g.GET("/install", o.AmoInstall(system))
		g.GET("/connect", o.AmoConnect(system))
		g.GET("/uninstall", o.AmoUninstall(system))
		g.POST("/events/:hook", o.AmoEvents(system))
		g.POST("/pipeline/:hook", o.AmoPipeline(system))
	}
	r.GET("/card", w.Framed("card", h.crmHosts.Allows))
	r.GET("/settings", w.Framed("settings", h.crmHosts.Allows))

	// acquirers: a notice proves itself
	notices := gin.WrapH(hooks.Handler(h.payments, h.now, h.log))
	r.Any("/hooks/*path", notices)

	// the paying customer: the token is the key
	r.GET("/p/:token", w.PayPage)
	r.POST("/p/:token/pay", w.Pay)
	r.GET("/p/:token/back", w.PayBack)
	r.POST("/p/:token/back", w.PayBack)
	r.GET("/p/:token/status", w.PayStatus)
	r.GET("/p/:token/qr.png", w.PayQR)

	// card, settings, integrators
	r.GET("/api/v1/openapi.yaml", w.Document)
	cross := widgets.Cross(h.crmHosts.Allows)
	r.OPTIONS("/api/v1/session", cross)
	r.POST("/api/v1/session", cross, w.OpenSession)
	h.api(r.Group("/api/v1"))

	r.GET("/assets/*file", assets(frontend.Assets()))
	return r
}

// api are the routes that need a key or a session.
func (h *house) api(r *gin.RouterGroup) {
	w := h.widgets
	manager, accountant, admin := w.Gate(tenants.Manager), w.Gate(tenants.Accountant), w.Gate(tenants.Admin)
	books, office := w.Office(tenants.Accountant), w.Office(tenants.Admin) // not from a deal's card
	r.GET("/card", manager, w.GetCard)
	r.POST("/invoices", manager, w.Repeatable, w.CreateInvoice)
	r.GET("/invoices", manager, w.ListInvoices)
	r.GET("/invoices/:id", manager, w.GetInvoice)
	r.PATCH("/invoices/:id", manager, w.EditInvoice)
	r.POST("/invoices/:id/send", manager, w.SendInvoice)
	r.POST("/invoices/:id/cancel", manager, w.CancelInvoice)
	r.POST("/invoices/:id/check", manager, w.CheckInvoice)
	r.POST("/invoices/:id/refunds", admin, w.Repeatable, w.RefundInvoice)
	r.POST("/invoices/:id/payments", accountant, w.Repeatable, w.RecordPayment)
	r.GET("/invoices/:id/history", manager, w.History)
	r.POST("/invoices/:id/replace", manager, w.Repeatable, w.ReplaceInvoice)
	r.GET("/invoices/:id/message", manager, w.GetMessage)
	r.POST("/invoices/:id/receipts", accountant, w.NoteReceipt)
	r.GET("/receipts/missing", books, w.ListWithoutReceipt)
	r.POST("/moves/:id/undo", admin, w.UndoMove)
	r.POST("/refunds/:id/undo", admin, w.UndoRefund)
	r.GET("/acts", books, w.ListActs)
	r.POST("/decisions/:id/undo", manager, w.UndoDecision)
	r.POST("/payments/:id/reverse", accountant, w.ReversePayment)
	r.GET("/deals/:deal_id", manager, w.GetDeal)
	r.POST("/deals/:deal_id/plan", manager, w.Repeatable, w.PlanDeal)
	r.GET("/exceptions", manager, w.ListExceptions)
	r.POST("/exceptions/:id/resolve", manager, w.ResolveException)
	r.GET("/settings", books, w.GetSettings)
	r.PUT("/settings", office, w.PutSettings)
	r.GET("/settings/payments", office, w.GetPaymentSettings)
	r.PUT("/settings/payments", office, w.PutPaymentSettings)
	r.GET("/settings/mail", office, w.GetMailbox)
	r.PUT("/settings/mail", office, w.PutMailbox)
	r.DELETE("/settings/mail", office, w.DeleteMailbox)
	r.GET("/people", books, w.ListPeople)
	r.PUT("/people/:id", office, w.PutPerson)
	r.GET("/pipelines", office, w.ListPipelines)
	r.GET("/fields", office, w.ListFields)
	r.PUT("/acquirers/:acquirer", office, w.ConnectAcquirer)
	r.DELETE("/acquirers/:acquirer", office, w.DisconnectAcquirer)
	r.POST("/acquirers/:acquirer/test", office, w.TestAcquirer)
	r.GET("/api-keys", office, w.ListKeys)
	r.POST("/api-keys", office, w.Repeatable, w.CreateKey)
	r.DELETE("/api-keys/:id", office, w.RevokeKey)
	r.GET("/audit", office, w.Audit)
	r.GET("/exports", books, w.Export)
	r.GET("/reconciliations", books, w.ListReconciliations)
	r.POST("/reconciliations", books, w.Reconcile)
	r.GET("/reconciliations/:id", books, w.GetReconciliation)
	r.POST("/reconciliations/:id/mismatches/:n", books, w.JudgeMismatch)
	r.GET("/mismatches", books, w.ListMismatches)
	r.GET("/registers", books, w.ListRegisters)
	r.POST("/registers", books, w.ImportRegister)
	r.GET("/registers/:acquirer/mapping", books, w.GetMapping)
	r.PUT("/registers/:acquirer/mapping", books, w.PutMapping)
	r.GET("/balances", books, w.ListBalances)
	r.GET("/periods", books, w.ListPeriods)
	r.POST("/periods/:month/lock", books, w.LockPeriod)
	r.POST("/repair", office, w.Repair)
	r.POST("/replay", office, w.Replay)
}

// assets serves the built front end, compressed; it holds no secret. A name with a hash never changes its content.
func assets(files fs.FS) gin.HandlerFunc {
	server := http.StripPrefix("/assets/", gzhttp.GzipHandler(http.FileServerFS(files)))
	hashed := regexp.MustCompile(`-[\w-]{8}\.\w+$`)
	return func(c *gin.Context) {
		file := c.Param("file")
		if strings.HasSuffix(file, "/") || strings.HasSuffix(file, ".html") {
			widgets.Problem(c, http.StatusNotFound, "not_found", "There is nothing at this address.")
			return
		}
		if _, err := fs.Stat(files, strings.TrimPrefix(file, "/")); err == nil && hashed.MatchString(file) {
			c.Header("Cache-Control", "public, max-age=31536000, immutable")
		} else {
			c.Header("Cache-Control", "public, max-age=3600")
		}
		server.ServeHTTP(c.Writer, c.Request)
	}
}
