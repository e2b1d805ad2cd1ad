"""The pages of the app; the permission of each stands at its view."""

from __future__ import annotations

from django.urls import path

from tasks.views import account, compare, findsets, inventory, restorations, runs, system, taskform, tasks, verify

urlpatterns = [
    path("", tasks.home, name="home"),
    path("settings/", account.preferences, name="preferences"),
    path("settings/theme/", account.theme, name="theme"),
    # Backup Management
    path("backups/", tasks.task_list, name="tasks"),
    path("backups/cells/", tasks.task_cells, name="task-cells"),
    path("backups/new/", taskform.create, name="task-new"),
    path("backups/new/destination/", taskform.destination_fields, name="task-destination"),
    path("backups/new/next-runs/", taskform.next_runs, name="task-next-runs"),
    path("backups/new/services/", taskform.service_choices, name="task-services"),
    path("backups/new/verify/", verify.new, name="task-new-verify"),
    path("backups/<int:pk>/configure/", taskform.configure, name="task-configure"),
    path("backups/<int:pk>/configure/verify/", verify.changed, name="task-configure-verify"),
    path("backups/<int:pk>/verify/", verify.saved, name="task-verify"),
    path("backups/<int:pk>/copy/", taskform.copy, name="task-copy"),
    path("backups/<int:pk>/run/", tasks.back_up_now, name="task-run"),
    path("backups/<int:pk>/stop/", tasks.stop, name="task-stop"),
    path("backups/<int:pk>/suspend/", tasks.suspend, name="task-suspend"),
    path("backups/<int:pk>/resume/", tasks.resume, name="task-resume"),
    path("backups/<int:pk>/delete/", tasks.delete, name="task-delete"),
    path("backups/<int:pk>/history/", runs.history, name="task-history"),
    path("backups/<int:pk>/head/", runs.history_head, name="task-history-head"),
    path("backups/<int:pk>/compare/", compare.compare, name="task-compare"),
    path("runs/<int:pk>/row/", runs.row, name="run-row"),
    path("runs/<int:pk>/news/", runs.news, name="run-news"),
    path("runs/<int:pk>/log/", runs.log, name="run-log"),
    path("runs/<int:pk>/log.txt", runs.log_download, name="run-log-download"),
    path("runs/<int:pk>/path/", runs.backup_path, name="run-path"),
    # Restoration Management
    path("restorations/", restorations.restoration_list, name="restorations"),
    path("restorations/cells/", restorations.cells, name="restoration-cells"),
    path("restorations/new/", findsets.from_runs, name="restoration-new"),
    path("restorations/new/source/", findsets.from_source, name="restoration-new-source"),
    path("restorations/new/source/fields/", findsets.source_fields, name="restoration-source-fields"),
    path("restorations/new/source/verify/", findsets.verify, name="restoration-new-verify"),
    path("restorations/found/", findsets.found, name="restoration-found"),
    path("restorations/<int:pk>/", restorations.detail, name="restoration"),
    path("restorations/<int:pk>/news/", restorations.news, name="restoration-news"),
    path("restorations/<int:pk>/start/", restorations.start, name="restoration-start"),
    path("restorations/<int:pk>/confirm/", restorations.confirm, name="restoration-confirm"),
    path("restorations/<int:pk>/stop/", restorations.stop, name="restoration-stop"),
    path("restorations/<int:pk>/rollback/", restorations.roll_back, name="restoration-rollback"),
    path("restorations/<int:pk>/delete/", restorations.delete, name="restoration-delete"),
    path("runs/<int:pk>/restore/", findsets.from_run, name="restoration-new-from-run"),
    path("runs/<int:pk>/safety-copies/remove/", restorations.remove_copies, name="safety-copies-remove"),
    # System
    path("system/nodes/", system.management_nodes, name="management-nodes"),
    path("system/nodes/verify/", system.verify_nodes, name="management-nodes-verify"),
    # Clusters
    path("clusters/", inventory.cluster_list, name="clusters"),
    path("clusters/new/", inventory.cluster_new, name="cluster-new"),
    path("clusters/<int:pk>/", inventory.cluster_detail, name="cluster"),
    path("clusters/<int:pk>/edit/", inventory.cluster_edit, name="cluster-edit"),
    path("clusters/<int:pk>/delete/", inventory.cluster_delete, name="cluster-delete"),
    path("clusters/<int:pk>/services/new/", inventory.service_new, name="service-new"),
    path("services/<int:pk>/edit/", inventory.service_edit, name="service-edit"),
    path("services/<int:pk>/delete/", inventory.service_delete, name="service-delete"),
    path("services/<int:pk>/nodes/new/", inventory.node_new, name="node-new"),
    path("nodes/<int:pk>/edit/", inventory.node_edit, name="node-edit"),
    path("nodes/<int:pk>/delete/", inventory.node_delete, name="node-delete"),
    path("nodes/<int:pk>/check/", inventory.node_check, name="node-check"),
]
