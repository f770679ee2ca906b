package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxAnswerBytes bounds what a verb reads of an admin answer.
const maxAnswerBytes = 8 << 20

// adminClient talks to the admin port of a running edge.
type adminClient struct {
	base  string // http://host:port
	token string // "" for what needs none
	http  *http.Client
}

// client finds the admin port and its token.
func (f *adminFlags) client() (*adminClient, error) {
	c, setting, err := f.anonymous()
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(c.base)
	if err != nil {
		return nil, err
	}
	c.token, err = findToken(f.TokenFile, setting, u.Port())
	return c, err
}

// anonymous finds the admin port only; setting is admin.token_file.
func (f *adminFlags) anonymous() (c *adminClient, setting string, err error) {
	s := defaultSettings()
	if f.Config != "" {
		if s, err = readConfig(f.Config); err != nil {
			return nil, "", err
		}
	}
	base, err := adminURL(f.Admin, s.admin.listen)
	if err != nil {
		return nil, "", err
	}
	direct := http.DefaultTransport.(*http.Transport).Clone()
	direct.Proxy = nil
	return &adminClient{base: base, http: &http.Client{
		Transport:     direct,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, s.admin.tokenFile, nil
}

// explain adds what to do to an answer that says little.
func (f *adminFlags) explain(err error) error {
	var answered *adminError
	if errors.As(err, &answered) && answered.status == http.StatusUnauthorized {
		return fmt.Errorf("%w (is it the token of that edge? --token-file, %s)", err, tokenVariable)
	}
	return err
}

// adminURL takes --admin, a URL or HOST:PORT, or else the address that the
// configuration listens on.
func adminURL(flag, listen string) (string, error) {
	if flag == "" {
		host, port, err := net.SplitHostPort(listen)
		if err != nil {
			return "", fmt.Errorf("admin.listen %q: %w", listen, err)
		}
		if host == "" || host == "0.0.0.0" || host == "::" {
			host = "127.0.0.1"
		}
		return "http://" + net.JoinHostPort(host, port), nil
	}
	full := flag
	if !strings.Contains(flag, "://") {
		full = "http://" + flag
	}
	u, err := url.Parse(full)
	if err != nil || u.Hostname() == "" || u.Port() == "" && full != flag ||
		u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" {
		return "", &usageError{fmt.Sprintf("--admin %q: give http://HOST:PORT", flag)}
	}
	return u.Scheme + "://" + u.Host, nil
}

// adminError is an answer that is not 2xx.
type adminError struct {
	status int
	text   string
}

func (e *adminError) Error() string {
	if e.text == "" {
		return fmt.Sprintf("edge answered %d %s", e.status, http.StatusText(e.status))
	}
	return fmt.Sprintf("edge answered %d: %s", e.status, e.text)
}

// do sends one request. The caller closes the body.
func (c *adminClient) do(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask edge at %s: %w", c.base, unwrapURL(err))
	}
	if res.StatusCode/100 == 2 {
		return res, nil
	}
	defer res.Body.Close()
	return nil, &adminError{res.StatusCode, problem(res.Body)}
}

// unwrapURL takes net/http's prefix, which repeats the url, off an error.
func unwrapURL(err error) error {
	if u, ok := err.(*url.Error); ok {
		return u.Err
	}
	return err
}

// problem reads what an answer says is wrong: problem+json, or a line of text.
func problem(r io.Reader) string {
	text, _ := io.ReadAll(io.LimitReader(r, 4<<10))
	var said struct{ Detail, Title, Error string }
	if json.Unmarshal(text, &said) == nil {
		for _, s := range []string{said.Detail, said.Error, said.Title} {
			if s != "" {
				return s
			}
		}
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	return line
}

// ask sends one request and reads its JSON answer, within half a minute.
func (c *adminClient) ask(ctx context.Context, method, path string, body, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	_, err := c.await(ctx, method, path, body, into)
	return err
}

// await is ask without a limit of time. It gives the answer's text, too.
func (c *adminClient) await(ctx context.Context, method, path string, body, into any) (text []byte, err error) {
	var raw []byte
	if body != nil {
		if raw, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	res, err := c.do(ctx, method, path, raw)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if text, err = io.ReadAll(io.LimitReader(res.Body, maxAnswerBytes)); err != nil {
		return nil, fmt.Errorf("read the answer of edge at %s: %w", c.base, err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return nil, fmt.Errorf("what answers at %s is not the admin API of an edge; look at --admin: %w", c.base, err)
	}
	return text, nil
}
