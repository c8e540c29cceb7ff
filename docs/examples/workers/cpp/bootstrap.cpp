// A Lambda function in plain C++: prices a European option. No library, no knowledge of stepgrid.
//
// Lambda starts this program and it asks, again and again, for the next event (Lambda Runtime API):
//
//   GET  .../invocation/next            blocks until there is an event
//   POST .../invocation/<id>/response   its result, or
//   POST .../invocation/<id>/error      {"errorType", "errorMessage", "stackTrace"}
//
// The event: {"kind": "call" or "put", "spot", "strike", "rate", "volatility", "years"}, and for a
// Monte Carlo estimate {"paths", "seed"}. The result: {"price", "standard_error"}.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <random>
#include <stdexcept>
#include <string>

namespace {

// ---- the pricer: replace it by your own ---------------------------------------------------------

struct BadRequest : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct Option {
    bool call;
    double spot, strike, rate, volatility, years;
};

struct Price {
    double value, standard_error;
};

double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }

// Black and Scholes, 1973.
Price closed_form(const Option& o) {
    const double spread = o.volatility * std::sqrt(o.years);
    const double d1 = (std::log(o.spot / o.strike) + o.rate * o.years) / spread + spread / 2;
    const double d2 = d1 - spread, discounted = o.strike * std::exp(-o.rate * o.years);
    const double sign = o.call ? 1.0 : -1.0;
    return {sign * (o.spot * normal_cdf(sign * d1) - discounted * normal_cdf(sign * d2)), 0.0};
}

Price monte_carlo(const Option& o, double paths, double seed) {
    std::mt19937_64 random(static_cast<unsigned long long>(seed));
    std::normal_distribution<double> normal;
    const double spread = o.volatility * std::sqrt(o.years);
    const double drift = o.rate * o.years - spread * spread / 2;
    double sum = 0, squares = 0;
    for (double path = 0; path < paths; ++path) {
        const double end = o.spot * std::exp(drift + spread * normal(random));
        const double payoff = std::max(0.0, o.call ? end - o.strike : o.strike - end);
        sum += payoff;
        squares += payoff * payoff;
    }
    const double discount = std::exp(-o.rate * o.years), mean = sum / paths;
    const double variance = std::max(0.0, squares / paths - mean * mean);
    return {discount * mean, discount * std::sqrt(variance / paths)};
}

// ---- JSON: an object of numbers and plain strings, and nothing else -----------------------------

class Fields {
  public:
    explicit Fields(const std::string& text) : text_(text) {
        expect('{');
        for (bool first = true; !accept('}'); first = false) {
            if (!first) expect(',');
            const std::string name = string();
            expect(':');
            values_[name] = peek() == '"' ? string() : number();
        }
        if (peek() != '\0') fail("something follows the object");
    }

    double at_least(const std::string& name, double least) const {
        const double value = std::strtod(text(name).c_str(), nullptr);
        if (!(value >= least)) throw BadRequest(name + " must be a number, " + str(least) + " or more");
        return value;
    }

    double positive(const std::string& name) const {
        const double value = std::strtod(text(name).c_str(), nullptr);
        if (!(value > 0)) throw BadRequest(name + " must be a number above 0");
        return value;
    }

    const std::string& text(const std::string& name) const {
        const auto found = values_.find(name);
        if (found == values_.end()) throw BadRequest("the event has no field " + name);
        return found->second;
    }

    bool has(const std::string& name) const { return values_.count(name) != 0; }

  private:
    char peek() {
        while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
        return at_ < text_.size() ? text_[at_] : '\0';
    }

    bool accept(char wanted) {
        if (peek() != wanted) return false;
        ++at_;
        return true;
    }

    void expect(char wanted) {
        if (!accept(wanted)) fail(std::string("expected ") + wanted);
    }

    std::string string() {
        expect('"');
        std::string value;
        for (; at_ < text_.size() && text_[at_] != '"'; ++at_) {
            if (text_[at_] == '\\') fail("escapes are not understood");
            value += text_[at_];
        }
        expect('"');
        return value;
    }

    std::string number() {
        peek();
        const auto end = text_.find_first_not_of("+-.0123456789eE", at_);
        const std::string value = text_.substr(at_, end - at_);
        if (value.empty()) fail("expected a number or a string");
        at_ += value.size();
        return value;
    }

    [[noreturn]] void fail(const std::string& why) const {
        throw BadRequest("the event is not as expected at byte " + std::to_string(at_) + ": " + why);
    }

    static std::string str(double value) {
        char text[32];
        std::snprintf(text, sizeof text, "%g", value);
        return text;
    }

    const std::string& text_;
    std::size_t at_ = 0;
    std::map<std::string, std::string> values_;
};

std::string json_string(const std::string& text) {
    std::string quoted = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') quoted += '\\';
        quoted += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
    return quoted + '"';
}

std::string handle(const std::string& event) {
    const Fields fields(event);
    const std::string& kind = fields.text("kind");
    if (kind != "call" && kind != "put") throw BadRequest("kind must be call or put");
    const Option option{kind == "call",        fields.positive("spot"),
                        fields.positive("strike"), fields.at_least("rate", -1),
                        fields.positive("volatility"), fields.positive("years")};
    const Price price = fields.has("paths")
                            ? monte_carlo(option, fields.at_least("paths", 1), fields.at_least("seed", 0))
                            : closed_form(option);
    char answer[96];
    std::snprintf(answer, sizeof answer, "{\"price\":%.10g,\"standard_error\":%.6g}", price.value,
                  price.standard_error);
    return answer;
}

// ---- the Runtime API: HTTP over a socket, one connection for each request -----------------------

class Runtime {
  public:
    explicit Runtime(const std::string& address) {  // host:port, the host an IPv4 address
        const auto colon = address.find(':');
        const std::string host = address.substr(0, colon);
        server_.sin_family = AF_INET;
        server_.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(colon + 1))));
        if (inet_pton(AF_INET, host.c_str(), &server_.sin_addr) != 1)
            throw std::runtime_error("AWS_LAMBDA_RUNTIME_API is not an IPv4 address: " + address);
        host_ = address;
    }

    // The next event; its id goes to `id`.
    std::string next(std::string& id) const {
        const std::string reply = exchange("GET", "next", "", "");
        const auto end = reply.find("\r\n\r\n");
        if (end == std::string::npos) throw std::runtime_error("the Runtime API hung up");
        id = header(reply.substr(0, end + 2), "lambda-runtime-aws-request-id");
        return reply.substr(end + 4);
    }

    void respond(const std::string& id, const std::string& result) const {
        exchange("POST", id + "/response", result, "");
    }

    void fail(const std::string& id, const std::string& type, const std::string& message) const {
        const std::string body = "{\"errorType\":" + json_string(type) +
                                 ",\"errorMessage\":" + json_string(message) + ",\"stackTrace\":[]}";
        exchange("POST", id + "/error", body, "Lambda-Runtime-Function-Error-Type: " + type + "\r\n");
    }

  private:
    std::string exchange(const std::string& method, const std::string& path, const std::string& body,
                         const std::string& headers) const {
        const int connection = socket(AF_INET, SOCK_STREAM, 0);
        if (connection < 0 ||
            connect(connection, reinterpret_cast<const sockaddr*>(&server_), sizeof server_) != 0)
            throw std::runtime_error("the Runtime API can't be reached");
        const std::string request = method + " /2018-06-01/runtime/invocation/" + path +
                                    " HTTP/1.1\r\nHost: " + host_ + "\r\nConnection: close\r\n" +
                                    headers + "Content-Type: application/json\r\nContent-Length: " +
                                    std::to_string(body.size()) + "\r\n\r\n" + body;
        for (std::size_t sent = 0; sent < request.size();) {
            const ssize_t count = send(connection, request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
            if (count <= 0) throw std::runtime_error("the Runtime API hung up");
            sent += static_cast<std::size_t>(count);
        }
        std::string reply = receive(connection);
        close(connection);
        return reply;
    }

    // Head and body: as far as Content-Length says, whether or not the server hangs up then.
    static std::string receive(int connection) {
        std::string reply;
        char buffer[16384];
        std::size_t wanted = std::string::npos;
        while (reply.size() < wanted) {
            const ssize_t count = recv(connection, buffer, sizeof buffer, 0);
            if (count <= 0) break;
            reply.append(buffer, static_cast<std::size_t>(count));
            const auto end = reply.find("\r\n\r\n");
            if (wanted == std::string::npos && end != std::string::npos) {
                const std::string length = header(reply.substr(0, end + 2), "content-length");
                if (!length.empty()) wanted = end + 4 + std::stoul(length);
            }
        }
        return reply;
    }

    static std::string header(const std::string& head, const std::string& name) {
        std::string lower = head;
        std::transform(lower.begin(), lower.end(), lower.begin(),
                       [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        const auto at = lower.find("\r\n" + name + ":");
        if (at == std::string::npos) return "";
        const auto start = head.find_first_not_of(' ', at + name.size() + 3);
        return head.substr(start, head.find("\r\n", start) - start);
    }

    sockaddr_in server_{};
    std::string host_;
};

}  // namespace

int main() {
    const char* address = std::getenv("AWS_LAMBDA_RUNTIME_API");
    if (address == nullptr) {
        std::cerr << "AWS_LAMBDA_RUNTIME_API is not set: Lambda starts this program\n";
        return 1;
    }
    const Runtime runtime(address);
    for (;;) {
        std::string id;
        const std::string event = runtime.next(id);
        try {
            runtime.respond(id, handle(event));
        } catch (const BadRequest& error) {
            runtime.fail(id, "BadRequest", error.what());
        }
    }
}
