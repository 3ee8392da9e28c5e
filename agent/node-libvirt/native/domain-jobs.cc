#include <libvirt/libvirt.h>

#include "operation.h"
#include "typed-parameters.h"

namespace weft {

namespace {

Prepared MigrateToUri(const Arguments& arguments) {
  return On(arguments.Get<DomainHandle>(1),
            [uri = arguments.MaybeText(2), parameters = std::make_shared<ParameterList>(arguments.Raw(3)),
             flags = arguments.Flags(4)](virDomainPtr domain) {
              Check(virDomainMigrateToURI3(domain, Characters(uri), parameters->data(), parameters->size(), flags));
              return Value();
            });
}

const char* NameJob(int type) {
  switch (type) {
    case VIR_DOMAIN_JOB_BOUNDED:
      return "bounded";
    case VIR_DOMAIN_JOB_UNBOUNDED:
      return "unbounded";
    case VIR_DOMAIN_JOB_COMPLETED:
      return "completed";
    case VIR_DOMAIN_JOB_FAILED:
      return "failed";
    case VIR_DOMAIN_JOB_CANCELLED:
      return "cancelled";
    default:
      return "none";
  }
}

Prepared JobStatistics(const Arguments& arguments) {
  return On(arguments.Get<DomainHandle>(1), [flags = arguments.Flags(2)](virDomainPtr domain) {
    int type = 0;
    virTypedParameterPtr parameters = nullptr;
    int count = 0;
    Check(virDomainGetJobStats(domain, &type, &parameters, &count, flags));
    Value statistics = DescribeParameters(parameters, count);
    virTypedParamsFree(parameters, count);
    return Value::Record({{"type", Value::String(NameJob(type))}, {"statistics", std::move(statistics)}});
  });
}

Prepared AbortJob(const Arguments& arguments) {
  return On(arguments.Get<DomainHandle>(1), [](virDomainPtr domain) {
    Check(virDomainAbortJob(domain));
    return Value();
  });
}

Prepared BackupBegin(const Arguments& arguments) {
  return On(arguments.Get<DomainHandle>(1),
            [xml = arguments.Text(2), checkpoint = arguments.MaybeText(3),
             flags = arguments.Flags(4)](virDomainPtr domain) {
              Check(virDomainBackupBegin(domain, xml.c_str(), Characters(checkpoint), flags));
              return Value();
            });
}

Prepared FsFreeze(const Arguments& arguments) {
  return On(arguments.Get<DomainHandle>(1),
            [](virDomainPtr domain) { return Value::Number(Check(virDomainFSFreeze(domain, nullptr, 0, 0))); });
}

Prepared FsThaw(const Arguments& arguments) {
  return On(arguments.Get<DomainHandle>(1),
            [](virDomainPtr domain) { return Value::Number(Check(virDomainFSThaw(domain, nullptr, 0, 0))); });
}

Prepared Save(const Arguments& arguments) {
  return On(arguments.Get<DomainHandle>(1), [path = arguments.Text(2), flags = arguments.Flags(3)](virDomainPtr domain) {
    Check(virDomainSaveFlags(domain, path.c_str(), nullptr, flags));
    return Value();
  });
}

Prepared HasManagedSave(const Arguments& arguments) {
  return On(arguments.Get<DomainHandle>(1),
            [](virDomainPtr domain) { return Value::Boolean(Check(virDomainHasManagedSaveImage(domain, 0)) == 1); });
}

Prepared RemoveManagedSave(const Arguments& arguments) {
  return On(arguments.Get<DomainHandle>(1), [](virDomainPtr domain) {
    Check(virDomainManagedSaveRemove(domain, 0));
    return Value();
  });
}

}  // namespace

void AddJobOperations(Operations& operations) {
  operations.insert(operations.end(), {
                                          {"domainMigrateToUri", MigrateToUri},
                                          {"domainJobStatistics", JobStatistics},
                                          {"domainAbortJob", AbortJob},
                                          {"domainBackupBegin", BackupBegin},
                                          {"domainFsFreeze", FsFreeze},
                                          {"domainFsThaw", FsThaw},
                                          {"domainSave", Save},
                                          {"domainHasManagedSave", HasManagedSave},
                                          {"domainRemoveManagedSave", RemoveManagedSave},
                                      });
}

}  // namespace weft
