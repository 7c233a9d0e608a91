package oauth

import (
	"bytes"
	"context"
	_ "embed"
	"html/template"
	"net/http"
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/egress"
)

// problem answers in the format of RFC 9457.
func problem(c *gin.Context, status int, code, detail string) {
	if status == http.StatusServiceUnavailable {
		c.Header("Retry-After", "5")
	}
	c.Header("Content-Type", "application/problem+json")
	c.JSON(status, gin.H{"type": "about:blank", "title": http.StatusText(status), "status": status, "detail": detail, "code": code,
		"request_id": tenants.RequestOf(c.Request.Context())})
}

func accepted(c *gin.Context) { c.JSON(http.StatusOK, gin.H{"ok": true}) }

// fail logs the cause and answers that it may work later.
func (s *Service) fail(c *gin.Context, doing string, err error) {
	s.c.Log.ErrorContext(c.Request.Context(), doing, "cause", err)
	problem(c, http.StatusServiceUnavailable, "unavailable", "This cannot be done at the moment.")
}

// suspect writes a forged request into the tenant's trail, at most once a minute.
func (s *Service) suspect(ctx context.Context, id tenants.ID, what string) {
	now := s.c.Now()
	s.mu.Lock()
	noted, _ := s.suspects.Get(id)
	quiet := now.Sub(noted) < time.Minute
	if !quiet {
		s.suspects.Add(id, now)
	}
	s.mu.Unlock()
	s.c.Log.WarnContext(ctx, "forged request refused", "tenant", id, "what", what)
	if quiet {
		return
	}
	err := s.in(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		return tx.Audit(ctx, tenants.Entry{Actor: tenants.CRM, Action: "request.forged"}, map[string]string{"what": what})
	})
	if err != nil {
		s.c.Log.ErrorContext(ctx, "note a forged request", "tenant", id, "cause", err)
	}
}

//go:embed page.html
var pageSource string

var pageTemplate = template.Must(template.New("page").Parse(pageSource))

// page is what a person sees who installs Dealpay.
type page struct {
	Lang   string
	Title  string
	Text   string
	Steps  []step
	Finish string // origin of the portal whose installation the page ends; empty otherwise
	Back   string // where to go on; empty when there is nowhere
	Go     string
	Nonce  string
}

type step struct {
	Text string
	Done bool
}

// show answers with a page. frame is the origin that may embed it; empty means nobody.
func show(c *gin.Context, status int, frame string, p page) {
	p.Nonce = tenants.NewToken()
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, p); err != nil {
		c.String(http.StatusInternalServerError, "page: %v", err)
		return
	}
	if frame == "" {
		frame = "'none'"
	}
	c.Header("Content-Security-Policy", "default-src 'none'; style-src 'nonce-"+p.Nonce+"'; script-src 'nonce-"+p.Nonce+
		"'; base-uri 'none'; form-action 'none'; frame-ancestors "+frame)
	c.Header("Cache-Control", "no-store")
	c.Header("Referrer-Policy", "no-referrer")
	c.Header("X-Content-Type-Options", "nosniff")
	if status == http.StatusServiceUnavailable {
		c.Header("Retry-After", "5")
	}
	c.Data(status, "text/html; charset=utf-8", b.Bytes())
}

// origin is the scheme and host under which an account's pages are.
func origin(domain string) string { return egress.URL(domain, "")[:len(egress.URL(domain, ""))-1] }

// words are the pages' texts by the languages of crm.Langs: en, ru, hy.
var words = map[string][3]string{
	"done": {"Dealpay is installed", "Dealpay установлен", "Dealpay-ը տեղադրված է"},
	"done.text": {"Open a deal: its card now shows payments. Connect your acquirer in the settings.",
		"Откройте сделку: в её карточке теперь видны оплаты. Подключите эквайера в настройках.",
		"Բացեք գործարքը․ նրա քարտում հիմա երևում են վճարումները։ Միացրեք ձեր էքվայերին կարգավորումներում։"},
	"connected":   {"Account connected", "Аккаунт подключён", "Հաշիվը միացված է"},
	"fields":      {"Fields, card and events prepared", "Поля, карточка и события подготовлены", "Դաշտերը, քարտը և իրադարձությունները պատրաստ են"},
	"later":       {"Almost ready", "Почти готово", "Գրեթե պատրաստ է"},
	"later.text":  {"The account is connected. Preparing its fields takes longer than usual and goes on by itself. Open Dealpay again in a few minutes.", "Аккаунт подключён. Подготовка полей идёт дольше обычного и продолжится сама. Откройте Dealpay ещё раз через несколько минут.", "Հաշիվը միացված է։ Դաշտերի պատրաստումը սովորականից երկար է տևում և ինքն իրեն կշարունակվի։ Մի քանի րոպեից նորից բացեք Dealpay-ը։"},
	"admin":       {"An administrator is needed", "Нужен администратор", "Անհրաժեշտ է ադմինիստրատոր"},
	"admin.text":  {"Only an administrator of this CRM account can install Dealpay. Ask one of them to do it.", "Установить Dealpay может только администратор этого аккаунта CRM. Попросите его об этом.", "Dealpay-ը կարող է տեղադրել միայն այս CRM հաշվի ադմինիստրատորը։ Խնդրեք նրան դա անել։"},
	"forged":      {"The CRM did not confirm this request", "CRM не подтвердила этот запрос", "CRM-ը չհաստատեց այս հարցումը"},
	"forged.text": {"Nothing was changed. Open Dealpay from the CRM again.", "Ничего не изменилось. Откройте Dealpay из CRM ещё раз.", "Ոչինչ չի փոխվել։ Նորից բացեք Dealpay-ը CRM-ից։"},
	"away":        {"The CRM does not answer", "CRM не отвечает", "CRM-ը չի պատասխանում"},
	"away.text":   {"Nothing was changed. Try again in a few minutes.", "Ничего не изменилось. Попробуйте ещё раз через несколько минут.", "Ոչինչ չի փոխվել։ Փորձեք նորից մի քանի րոպեից։"},
	"denied":      {"Access was not given", "Доступ не предоставлен", "Մուտքը չի տրվել"},
	"denied.text": {"Dealpay works with deals only after an administrator allows it.", "Dealpay работает со сделками только после разрешения администратора.", "Dealpay-ը գործարքների հետ աշխատում է միայն ադմինիստրատորի թույլտվությունից հետո։"},
	"working":     {"Connecting", "Подключаем", "Միանում ենք"},
	"working.text": {"The account is being connected. You may close this page.", "Аккаунт подключается. Эту страницу можно закрыть.",
		"Հաշիվը միանում է։ Կարող եք փակել այս էջը։"},
	"back": {"Back to the CRM", "Вернуться в CRM", "Վերադառնալ CRM"},
}

func say(lang, key string) string { return words[key][max(slices.Index(crm.Langs, lang), 0)] }

func newPage(lang, key string) page {
	if !slices.Contains(crm.Langs, lang) {
		lang = crm.Langs[0]
	}
	return page{Lang: lang, Title: say(lang, key), Text: say(lang, key+".text")}
}
