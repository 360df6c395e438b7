#include <isotape/apps/errors.hpp>

#include <algorithm>
#include <new>
#include <ostream>
#include <string>

namespace isotape {
namespace {

int report(std::ostream& os, std::string_view what, ExitCode code) {
  std::string line(what);
  std::replace(line.begin(), line.end(), '\n', ' ');
  os << "isotape: " << (code == exit_interrupted ? "" : "error: ") << line << '\n';
  return code;
}

}  // namespace

int report_exception(std::ostream& os) {
  try {
    throw;
  } catch (const Interrupted& error) {
    return report(os, error.what(), exit_interrupted);
  } catch (const UsageError& error) {
    return report(os, error.what(), exit_usage);
  } catch (const ValueError& error) {
    return report(os, error.what(), exit_usage);
  } catch (const ShapeError& error) {
    return report(os, error.what(), exit_usage);
  } catch (const CheckError& error) {
    return report(os, error.what(), exit_check);
  } catch (const DataError& error) {
    return report(os, error.what(), exit_data);
  } catch (const std::bad_alloc&) {
    return report(os, "out of memory; a smaller --batch needs less", exit_error);
  } catch (const std::exception& error) {
    return report(os, error.what(), exit_error);
  } catch (...) {
    return report(os, "unknown exception", exit_error);
  }
}

}  // namespace isotape
